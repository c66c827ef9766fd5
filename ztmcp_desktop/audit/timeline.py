"""How a person reads the ledger: pages, one call, verification, export. Never writes, never blocks the loop."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ztmcp_desktop.audit import chain, export, index, query
from ztmcp_desktop.audit.head import Head, read_copy
from ztmcp_desktop.audit.schema import SELECT, read_mark, reading, rows
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.ledger import Entry, Filters, TimelineItem, Verification

MAX_READ_S = 10.0
MAX_CALL_ROWS = 1000
EXPORT_ROWS = 500
_CHECK_EVERY = 20_000

T = TypeVar("T")
Subscribe = Callable[[Callable[[int], None]], Callable[[], None]]


class SqliteTimeline:
    """Implements `ports.Timeline`. `subscribe` is the store's; without one nothing is ever announced.

    Each question has a connection of its own, read-only, in a worker thread, and ends after 10 s; only the
    verification takes the time that it needs.
    """

    def __init__(self, path: Path, head_copy: Path, key: Ed25519PublicKey, subscribe: Subscribe | None = None) -> None:
        self._path = path
        self._copy = head_copy
        self._key = key
        self._subscribe = subscribe

    async def page(self, filters: Filters, before: int | None, limit: int) -> tuple[TimelineItem, ...]:
        """As the port says.

        Raises:
            Denial: the ledger cannot be read (`gateway-fault`) or the search takes too long (`too-slow`).
        """
        return await self._read(lambda connection: query.page(connection, filters, before, limit))

    async def entries(self, call: str) -> tuple[Entry, ...]:
        """As the port says; empty where there is no such call or row. Raises as `page`."""
        return await self._read(lambda connection: _entries(connection, call))

    async def verify(self) -> Verification:
        """As the port says.

        Raises:
            Denial: the file cannot be read at all (`gateway-fault`).
        """
        return await asyncio.to_thread(self._verify)

    async def export(self, filters: Filters, form: str) -> AsyncIterator[bytes]:
        """The rows of all items that pass the filters, oldest call last, as `jsonl` or `csv`. Raises as `page`."""
        if first := export.header(form):
            yield first
        before: int | None = None
        while True:
            batch = await self._read(lambda connection, top=before: _export(connection, filters, top, form))  # type: ignore[misc]
            if not batch:
                return
            before = batch[-1][0]
            yield b"".join(text for _, text in batch)

    def on_append(self, listener: Callable[[int], None]) -> Callable[[], None]:
        if self._subscribe is None:
            return _nothing
        return self._subscribe(listener)

    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._answer, question)

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        deadline = time.monotonic() + MAX_READ_S
        try:
            with reading(self._path) as connection:
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _CHECK_EVERY)
                return question(connection)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise Denial(Code.TOO_SLOW, "the search took too long; narrow it down", Retry.DIFFERENT) from error
            raise _unreadable(self._path) from error
        except (sqlite3.Error, ValueError) as error:
            # ValueError: a row of ours never has a time or a kind that does not parse.
            raise _unreadable(self._path) from error

    def _verify(self) -> Verification:
        # The copy first: what is committed meanwhile may only put the ledger ahead of it.
        copy: Head | None = None
        strange = ""
        try:
            copy = read_copy(self._copy)
        except Denial as denial:
            strange = denial.reason
        try:
            with reading(self._path) as connection:
                connection.text_factory = _lossless
                marks = chain.Marks(head=read_mark(connection, "head"), copy=copy, base=read_mark(connection, "base"))
                found = chain.verify(rows(connection.execute(f"{SELECT} ORDER BY e.seq")), marks, self._key)
        except sqlite3.Error as error:
            raise _unreadable(self._path) from error
        if strange and found.bad_seq is not None:
            return Verification(
                rows=found.rows,
                bad_seq=found.bad_seq,
                beyond_head=found.beyond_head,
                reason=f"{found.reason}; {strange}",
            )
        return found


def _entries(connection: sqlite3.Connection, call: str) -> tuple[Entry, ...]:
    by_call = f"{SELECT} WHERE e.call = ? AND e.call <> '' ORDER BY e.seq LIMIT {MAX_CALL_ROWS}"
    found = tuple(row.entry() for row in rows(connection.execute(by_call, (call,))))
    if found or not (call.isascii() and call.isdigit() and len(call) < 19):  # noqa: PLR2004 - digits of 2**63
        return found
    by_seq = f"{SELECT} WHERE e.seq = ?"
    return tuple(row.entry() for row in rows(connection.execute(by_seq, (int(call),))))


def _export(
    connection: sqlite3.Connection, filters: Filters, before: int | None, form: str
) -> tuple[tuple[int, bytes], ...]:
    batch: list[tuple[int, bytes]] = []
    for _, row in zip(range(EXPORT_ROWS), query.newest(connection, filters, before), strict=False):
        opening = index.opening_of(connection, row)
        lines = [export.line(each, form) for each in (opening, row) if each is not None]
        batch.append((row.seq, b"".join(lines)))
    return tuple(batch)


def _unreadable(path: Path) -> Denial:
    return Denial(Code.GATEWAY_FAULT, f"the ledger {path} cannot be read; run ztmcp audit verify, and see ztmcp doctor")


def _lossless(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")


def _nothing() -> None:
    """End a subscription that there is not."""
