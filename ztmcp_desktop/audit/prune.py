"""Leaves old rows out: the rest goes into a new file, behind a signed checkpoint."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from ztmcp_desktop.audit import head as heads
from ztmcp_desktop.audit.row import prepare
from ztmcp_desktop.audit.schema import open_writer, read_mark
from ztmcp_desktop.audit.writer import Writer, refusal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.ledger import Draft, EntryKind


def run(writer: Writer, before: datetime, at: datetime, digester: Digester) -> int:
    """Prune as `Store.prune` says, in the writing thread; gives how many rows were left out.

    Raises:
        Denial: it could not be done (`gateway-fault`). The ledger is then as it was: the new file takes its place in
            one step, when it is whole.
    """
    new = writer.path.with_name(writer.path.name + ".new")
    try:
        writer.copy_head()
        checkpoint, count = _checkpoint(writer, before)
        if count == 0:
            return 0
        _fill(writer, new, checkpoint)
        writer.settle_log()
        os.replace(new, writer.path)  # noqa: PTH105 - says what it is
        writer.reconnect()
        drafted = Draft(
            kind=EntryKind.PRUNE,
            body={
                "before": before.astimezone(UTC).isoformat(),
                "rows": count,
                "checkpoint": {"seq": checkpoint.seq, "hash": checkpoint.hash, "signature": checkpoint.signature},
            },
        )
        writer.write([prepare(drafted, at, digester)])
        writer.copy_head()
    except sqlite3.Error as error:
        raise refusal(error, writer.path) from error
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"the ledger cannot be pruned: {error.strerror}") from error
    finally:
        _discard(new)
        if not writer.is_open:
            writer.reconnect()
    return count


def _checkpoint(writer: Writer, before: datetime) -> tuple[heads.Head, int]:
    """The signed last row that is left out, and how many are."""
    conn = writer.connection
    limit = before.astimezone(UTC).isoformat(timespec="microseconds")
    keep_from = conn.execute("SELECT min(seq) FROM entries WHERE at >= ?", (limit,)).fetchone()[0]
    still_open = conn.execute("SELECT min(seq) FROM open_calls").fetchone()[0]
    bounds = [seq for seq in (keep_from, still_open) if seq is not None]
    last = min(bounds) - 1 if bounds else writer.head.seq
    found = conn.execute("SELECT hash FROM entries WHERE seq = ?", (last,)).fetchone()
    count = conn.execute("SELECT count(*) FROM entries WHERE seq <= ?", (last,)).fetchone()[0]
    if found is None:
        return writer.head, 0
    return writer.sign(last, str(found[0]), "checkpoint"), int(count)


def _fill(writer: Writer, new: Path, checkpoint: heads.Head) -> None:
    _discard(new)
    db = open_writer(new)
    try:
        db.conn.execute("ATTACH DATABASE ? AS old", (str(writer.path),))
        with db.atomic():
            db.conn.execute("INSERT INTO main.entries SELECT * FROM old.entries WHERE seq > ?", (checkpoint.seq,))
            db.conn.execute("INSERT INTO main.head SELECT * FROM old.head")
            db.conn.execute("INSERT INTO main.open_calls SELECT * FROM old.open_calls")
            db.conn.execute(
                "INSERT INTO main.base (id, seq, hash, signature) VALUES (1, ?, ?, ?)",
                (checkpoint.seq, checkpoint.hash, checkpoint.signature),
            )
            db.conn.execute("UPDATE main.indexed SET seq = ?", (checkpoint.seq,))
        db.conn.execute("DETACH DATABASE old")
        copied = read_mark(db.conn, "head")
        if copied is None or copied.seq != writer.head.seq:
            raise Denial(Code.GATEWAY_FAULT, "the ledger was changed while it was pruned; run: ztmcp audit verify")
    finally:
        # The last connection to close moves the write-ahead log into the file and removes it.
        db.conn.close()
    if new.with_name(new.name + "-wal").exists():
        raise Denial(Code.GATEWAY_FAULT, "the pruned ledger is not whole; try again")
    descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(new: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
