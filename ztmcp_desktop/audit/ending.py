"""The end of the chain, checked cheaply: at each start, and after a write that failed."""

import sqlite3
from itertools import zip_longest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ztmcp_desktop.audit.head import Head
from ztmcp_desktop.audit.row import digest_of
from ztmcp_desktop.audit.schema import SELECT, read_mark, rows

TAIL_ROWS = 64


def is_new(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever written here."""
    has_rows = connection.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is not None
    return not has_rows and read_mark(connection, "head") is None


def read(connection: sqlite3.Connection, key: Ed25519PublicKey) -> tuple[Head | None, str]:
    """The signed head, if the last 64 rows lead up to it; else None, and why."""
    head = read_mark(connection, "head")
    if head is None or not head.genuine(key):
        return None, "its head is not signed by us"
    tail = list(rows(connection.execute(f"{SELECT} ORDER BY seq DESC LIMIT {TAIL_ROWS}")))
    end = tail[0] if tail else read_mark(connection, "base")
    if (end.seq if end else 0) != head.seq or (end is not None and end.hash != head.hash):
        return None, "its last row is not the one that was signed"
    for row, before in zip_longest(tail, tail[1:]):
        follows = before is None or (row.prev == before.hash and row.seq == before.seq + 1)
        if not row.sound() or digest_of(row) != row.hash or not follows:
            return None, f"row {row.seq} was altered"
    return head, ""


def leads_to(connection: sqlite3.Connection, mark: Head) -> bool:
    """Whether the row that `mark` was signed over is still there, as far as the ledger goes back."""
    base = read_mark(connection, "base")
    if mark.seq == 0 or (base and mark.seq < base.seq):
        return True
    if base and mark.seq == base.seq:
        return mark.hash == base.hash
    found = connection.execute("SELECT hash FROM entries WHERE seq = ?", (mark.seq,)).fetchone()
    return found is not None and bool(found[0] == mark.hash)
