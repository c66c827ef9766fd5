"""The one hand that writes the ledger: groups of rows, chained, signed, committed, and never half of them."""

import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlite_utils import Database

from ztmcp_desktop.audit import ending, index
from ztmcp_desktop.audit import head as heads
from ztmcp_desktop.audit.row import COLUMNS, Row, chain, prepare
from ztmcp_desktop.audit.schema import SELECT, open_writer, read_mark, rows
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.domain.sealed import Sealed

COPY_EVERY_S = 0.5
MAX_INTERRUPTED = 10_000
_INSERT = f"INSERT INTO entries ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - ours


class Writer:
    """Owns the writing connection. Used from one thread; blocks it."""

    def __init__(self, path: Path, head_copy: Path, signing_key: Sealed[Ed25519PrivateKey], digester: Digester) -> None:
        self.path = path
        self._copy = head_copy
        self._key = signing_key
        self._public = signing_key.open().public_key()
        self._digester = digester
        self._db: Database | None = None
        self._inode = (0, 0)
        self._head = heads.first(signing_key.open())
        self._copied = -1
        self._copied_at = 0.0
        self._copy_failed = False
        self._certain = False

    @property
    def head(self) -> heads.Head:
        """The end of the chain, as last committed."""
        return self._head

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._db is not None

    @property
    def copy_is_behind(self) -> bool:
        """Whether the copy outside the database lacks committed rows."""
        return self._copied != self._head.seq

    def open(self, at: datetime) -> None:
        """Open or make the ledger, check its end, and close the calls that a crash left open.

        Raises:
            Denial: the end of the chain does not hold, or the file cannot be used (`gateway-fault`).
        """
        try:
            self._connect()
            self._settle_head()
            self._close_interrupted(at)
        except sqlite3.Error as error:
            self.close()
            raise refusal(error, self.path) from error
        except BaseException:
            self.close()
            raise

    def write(self, drafted: Sequence[Row]) -> tuple[Row, ...]:
        """Chain the rows, sign the new head and commit all of it; or raise, and nothing is written.

        Raises:
            Denial: it could not be written, or the file is not as we left it (`gateway-fault`).
        """
        try:
            self._check_file()
            if not self._certain:
                self._head = self._read_head()
                self._certain = True
            if self._copy_failed:
                self.copy_head()
            return self._commit(drafted)
        except sqlite3.Error as error:
            # A commit that failed may yet be found done: what stands there is read again before the next row.
            self._certain = False
            raise refusal(error, self.path) from error
        except OSError as error:
            raise Denial(
                Code.GATEWAY_FAULT, f"the copy of the ledger's head {self._copy} cannot be written: {error.strerror}"
            ) from error

    def copy_head(self, at_most_every_s: float = 0.0) -> None:
        """Bring the copy outside the database up to date, unless it was less than so many seconds ago.

        Raises:
            OSError: it cannot be written; no row is written either until it can.
        """
        if self.copy_is_behind and time.monotonic() - self._copied_at >= at_most_every_s:
            self._copy_failed, self._copied_at = True, time.monotonic()
            heads.write_copy(self._copy, self._head)
            self._copied, self._copy_failed = self._head.seq, False

    def index_some(self) -> bool:
        """Index a few rows for the search; False when there is nothing left to do.

        Raises:
            sqlite3.Error: it cannot be done now.
        """
        return index.advance(self._open_db())

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        if self._db is not None:
            self._db.conn.close()
            self._db = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The writing connection.

        Raises:
            Denial: the ledger is closed (`gateway-fault`).
        """
        return self._open_db().conn

    def sign(self, seq: int, row_hash: str, purpose: str) -> heads.Head:
        """Sign a place in the chain for another purpose than the head's."""
        return heads.sign(self._key.open(), seq, row_hash, purpose)

    def settle_log(self) -> None:
        """Move the write-ahead log into the file, and remove it, since another file is to take the path.

        Raises:
            Denial: a reader holds it (`gateway-fault`).
        """
        busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise Denial(Code.GATEWAY_FAULT, "the ledger is being read; try again in a moment", Retry.LATER)
        self.close()
        try:
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError:
            self.reconnect()
            raise

    def reconnect(self) -> None:
        """Open the file that now stands at the path."""
        self.close()
        self._connect()
        self._certain = False

    def _connect(self) -> None:
        self._db = open_writer(self.path)
        found = self.path.stat()
        self._inode = (found.st_dev, found.st_ino)

    def _open_db(self) -> Database:
        if self._db is None:
            raise Denial(Code.GATEWAY_FAULT, "the ledger is closed")
        return self._db

    def _check_file(self) -> None:
        try:
            found = self.path.lstat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._inode:
            raise Denial(Code.GATEWAY_FAULT, f"the ledger {self.path} was taken away or replaced; restart ztmcp")

    def _commit(self, drafted: Sequence[Row]) -> tuple[Row, ...]:
        db = self._open_db()
        placed: list[Row] = []
        prev = self._head
        for row in drafted:
            before = placed[-1].hash if placed else prev.hash
            placed.append(chain(row, before, prev.seq + len(placed) + 1))
        if not placed:
            return ()
        head = heads.sign(self._key.open(), placed[-1].seq, placed[-1].hash)
        with db.atomic():
            moved = db.conn.execute(
                "UPDATE head SET seq = ?, hash = ?, signature = ? WHERE seq = ? AND hash = ?",
                (head.seq, head.hash, head.signature, prev.seq, prev.hash),
            )
            if moved.rowcount != 1:
                raise self._changed()
            db.conn.executemany(_INSERT, [row.values() for row in placed])
            if not self._follows(placed[0].seq):
                raise self._changed()
            self._track_open(placed)
        self._head = head
        return tuple(placed)

    def _follows(self, seq: int) -> bool:
        """Whether the rows that were just written stand right after their predecessor, or after the base."""
        found = self._open_db().conn.execute("SELECT max(seq) FROM entries WHERE seq < ?", (seq,)).fetchone()
        if found[0] is not None:
            return bool(found[0] == seq - 1)
        base = read_mark(self._open_db().conn, "base")
        return seq == (base.seq + 1 if base else 1)

    def _track_open(self, placed: Sequence[Row]) -> None:
        conn = self._open_db().conn
        for row in placed:
            if row.call and row.kind == EntryKind.OPENED:
                conn.execute("INSERT OR REPLACE INTO open_calls (call, seq) VALUES (?, ?)", (row.call, row.seq))
            elif row.call and row.kind == EntryKind.CLOSED:
                conn.execute("DELETE FROM open_calls WHERE call = ?", (row.call,))

    def _changed(self) -> Denial:
        self._certain = False
        return Denial(
            Code.GATEWAY_FAULT, f"the ledger {self.path} was changed by another program; run: ztmcp audit verify"
        )

    def _settle_head(self) -> None:
        """Check the signed head, the last rows and the copy outside; begin both where the ledger is new."""
        conn = self.connection
        copy = heads.read_copy(self._copy)
        if ending.is_new(conn):
            if copy is not None and copy.seq > 0:
                raise self._broken(f"the ledger is gone or empty, and had {copy.seq} rows")
            with self._open_db().atomic():
                conn.execute(
                    "INSERT INTO head (id, seq, hash, signature) VALUES (1, ?, ?, ?)",
                    (self._head.seq, self._head.hash, self._head.signature),
                )
            copy = None
        else:
            self._head = self._read_head()
        if copy is None and self._head.seq > 0:
            raise self._broken(f"the copy of its head {self._copy} is missing")
        if copy is None:
            try:
                self.copy_head()
            except OSError as error:
                raise Denial(Code.GATEWAY_FAULT, f"{self._copy} cannot be written: {error.strerror}") from error
        elif not copy.genuine(self._public) or copy.seq > self._head.seq or not ending.leads_to(conn, copy):
            raise self._broken("it does not reach the copy of its head, so rows at its end are missing or altered")
        else:
            self._copied = copy.seq
        self._certain = True

    def _read_head(self) -> heads.Head:
        head, why = ending.read(self.connection, self._public)
        if head is None:
            raise self._broken(why)
        return head

    def _broken(self, why: str) -> Denial:
        return Denial(
            Code.GATEWAY_FAULT,
            f"the ledger {self.path} does not hold: {why}; run ztmcp audit verify, and to begin a new one move it and "
            f"{self._copy} away",
        )

    def _close_interrupted(self, at: datetime) -> None:
        conn = self._open_db().conn
        query = f"{SELECT} JOIN open_calls o ON o.seq = e.seq ORDER BY e.seq LIMIT {MAX_INTERRUPTED}"
        drafts = [
            Draft(
                kind=EntryKind.CLOSED,
                call=CallId(row.call),
                client=row.client,
                server=row.server,
                method=row.method,
                subject=row.subject,
                outcome=Outcome.FAILED,
                code=Code.INTERRUPTED,
                body={"reason": "ztmcp ended before the call did"},
            )
            for row in rows(conn.execute(query))
        ]
        if drafts:
            self._commit([prepare(draft, at, self._digester) for draft in drafts])


def refusal(error: sqlite3.Error, path: Path) -> Denial:
    """What is said when SQLite fails."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            why = "the disk is full; free some space"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            why = "another program holds it; end that program"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            why = "it may not be written; mend its permissions"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            why = "it is damaged; put it back from a backup, or move it away"
        case _:
            why = f"the disk or the file fails ({type(error).__name__}); see ztmcp doctor"
    return Denial(Code.GATEWAY_FAULT, f"the ledger {path} cannot be written: {why}", Retry.LATER)
