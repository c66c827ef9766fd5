"""The ledger's database file: its tables, and how it is opened."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database, Migrations

from ztmcp_desktop.audit.head import Head, check_private
from ztmcp_desktop.audit.row import COLUMNS, Row
from ztmcp_desktop.domain.denial import Code, Denial

BUSY_MS = 1000
LOG_PAGES = 4000
SELECT = f"SELECT {', '.join(f'e.{name}' for name in COLUMNS)} FROM entries e"  # noqa: S608 - names of ours

migrations = Migrations("ledger")


@migrations(name="entries")
def _entries(db: Database) -> None:
    text = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS if name != "seq")
    db.execute(f"CREATE TABLE entries (seq INTEGER PRIMARY KEY, {text})")
    db.execute("CREATE INDEX entries_call ON entries (call, seq) WHERE call <> ''")
    db.execute("CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER, hash TEXT, signature TEXT)")
    db.execute("CREATE TABLE base (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER, hash TEXT, signature TEXT)")
    # Calls that were opened and not yet closed, so that a start after a crash need not read the whole ledger.
    db.execute("CREATE TABLE open_calls (call TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID")


@migrations(name="search")
def _search(db: Database) -> None:
    # Both are derived from `entries`, in the background; `indexed` says how far.
    db.execute("CREATE TABLE facets (seq INTEGER PRIMARY KEY, risk TEXT NOT NULL)")
    db.execute("CREATE INDEX facets_risk ON facets (risk, seq)")
    db.execute("CREATE VIRTUAL TABLE search USING fts5 (words, content = '', prefix = '2 3')")
    db.execute("CREATE TABLE indexed (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL)")
    db.execute("INSERT INTO indexed (id, seq) VALUES (1, 0)")


def open_writer(path: Path) -> Database:
    """The one connection that writes. Made 0600, in WAL with synchronous FULL: what is committed survives a crash.

    Raises:
        Denial: the file is a link, another's, open to others, or no ledger (`gateway-fault`).
        sqlite3.Error: it cannot be opened now.
    """
    for suffix in ("", "-wal", "-shm"):
        check_private(path.with_name(path.name + suffix))
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"the ledger {path} cannot be opened: {error.strerror}") from error
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        # Pages that many rows share are moved into the file once for all of them.
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        db = Database(connection, execute_plugins=False)
        migrations.apply(db)
        for verb in ("UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER IF NOT EXISTS no_{verb.lower()} BEFORE {verb} ON entries "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )
    except BaseException:
        connection.close()
        raise
    return db


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, and one unchanging view of the ledger for as long as it is held.

    Raises:
        Denial: there is no ledger, or it is not plainly ours (`gateway-fault`).
        sqlite3.Error: it cannot be read.
    """
    check_private(path)
    if not path.exists():
        raise Denial(Code.GATEWAY_FAULT, f"there is no ledger at {path}")
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    with closing(connection):
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        yield connection


def read_mark(connection: sqlite3.Connection, table: str) -> Head | None:
    """The signed head (`head`), or the checkpoint before the first row of a pruned ledger (`base`), unverified."""
    if table not in {"head", "base"}:
        raise ValueError(table)
    found = connection.execute(f"SELECT seq, hash, signature FROM {table}").fetchone()  # noqa: S608 - checked above
    if found is None:
        return None
    purpose = "head" if table == "head" else "checkpoint"
    return Head(seq=found[0], hash=str(found[1]), signature=str(found[2]), purpose=purpose)


def rows(cursor: sqlite3.Cursor) -> Iterator[Row]:
    """The rows of a query that began with `SELECT`."""
    for found in cursor:
        yield Row(**dict(zip(COLUMNS, found, strict=True)))
