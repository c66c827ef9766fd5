"""Makes real ledgers for the tests of this room."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes import FakeClock, make_digester
from ztmcp_desktop.audit.store import Store
from ztmcp_desktop.audit.timeline import SqliteTimeline
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.domain.sealed import Sealed

KEY = Sealed(Ed25519PrivateKey.from_private_bytes(b"s" * 32))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Home:
    """A folder with a ledger and the copy of its head."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger.db"
        self.copy = folder / "ledger.head"
        self.clock = FakeClock()

    async def open(self) -> Store:
        return await Store.open(self.ledger, self.copy, KEY, make_digester(), self.clock)

    def timeline(self, store: Store | None = None) -> SqliteTimeline:
        return SqliteTimeline(self.ledger, self.copy, KEY.open().public_key(), store.subscribe if store else None)

    def sql(self, *statements: str) -> list[tuple]:
        """What another program of the same user would do to the file: without triggers in its way."""
        with closing(sqlite3.connect(self.ledger, isolation_level=None)) as db:
            db.execute("DROP TRIGGER IF EXISTS no_update")
            db.execute("DROP TRIGGER IF EXISTS no_delete")
            rows: list[tuple] = []
            for statement in "; ".join(statements).split("; "):
                rows = db.execute(statement).fetchall()
            return rows

    def count(self) -> int:
        with closing(sqlite3.connect(self.ledger)) as db:
            return db.execute("SELECT count(*) FROM entries").fetchone()[0]

    async def fill(self, calls: int) -> None:
        """So many finished calls, two rows each, and a closed ledger."""
        store = await self.open()
        for number in range(calls):
            await store.append(opened(f"c{number}"))
            await store.append(closed(f"c{number}"))
        await store.close()


def opened(call: str, *, client: str = "tests", server: str = "files", path: str = "notes.txt") -> Draft:
    body = {"arguments": {"path": path}, "era": "2025-11-25"}
    return draft(EntryKind.OPENED, call, client=client, server=server, body=body)


def closed(
    call: str,
    *,
    client: str = "tests",
    server: str = "files",
    risk: str = "read",
    outcome: Outcome = Outcome.ALLOWED,
    code: Code | None = None,
    result: str = "the text of the file",
) -> Draft:
    body = {"proofs": [{"proof": "Classified", "risk": risk}], "duration_ms": 12, "result": {"text": result}}
    return draft(EntryKind.CLOSED, call, client=client, server=server, body=body, outcome=outcome, code=code)


def draft(kind: EntryKind, call: str = "", **columns: Any) -> Draft:
    columns = {"method": "tools/call", "subject": "read_file", **columns}
    return Draft(kind=kind, call=CallId(call) if call else None, **columns)


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for the condition, which may be a coroutine function."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s")
        await asyncio.sleep(0.01)
