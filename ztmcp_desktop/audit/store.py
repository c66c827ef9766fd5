"""The ledger: append-only, chained and signed, written by one thread in groups."""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ztmcp_desktop.audit import prune
from ztmcp_desktop.audit.rejections import EACH_S, Rejections
from ztmcp_desktop.audit.row import Row, prepare
from ztmcp_desktop.audit.writer import COPY_EVERY_S, Writer
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.ledger import Draft
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.ports import Clock

MAX_WAITING = 1024
MAX_GROUP = 64
IDLE_S = 0.05
# A batch of the index takes as long as many rows. It waits for quiet, though not for ever.
QUIET_S = 0.25
OVERDUE_S = 2.0
_log = logging.getLogger(__name__)

T = TypeVar("T")
Listener = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    row: Row
    future: asyncio.Future[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    do: Callable[[], None]
    last: bool = False


class _Wake:
    """Something other than a row waits to be written."""


class Store:
    """Implements `ports.Ledger`. Made by `open`, on the core's loop; ended by `close`.

    Rows that wait while a commit is under way go into the next one together. A row that `append` has numbered is on
    disk, and so is the signature over it.
    """

    def __init__(self, writer: Writer, digester: Digester, clock: Clock) -> None:
        self._writer = writer
        self._digester = digester
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        # Its length is looked at before a row is put: only the loop's thread puts any.
        self._queue: queue.SimpleQueue[_Pending | _Job | _Wake] = queue.SimpleQueue()
        self._rejections = Rejections()
        self._listeners: list[Listener] = []
        self._closed = False
        self._indexing = True
        self._catching_up = False
        self._copying = True
        self._flush_from = 0.0
        self._wrote_at = self._indexed_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    @classmethod
    async def open(
        cls,
        path: Path,
        head_copy: Path,
        signing_key: Sealed[Ed25519PrivateKey],
        digester: Digester,
        clock: Clock,
    ) -> "Store":
        """Open or make the ledger at `path`; calls that a crash left open get their closing row.

        Raises:
            Denial: the end of the chain does not hold, or the file cannot be used (`gateway-fault`).
        """
        writer = Writer(path, head_copy, signing_key, digester)
        await asyncio.to_thread(writer.open, clock.now())
        store = cls(writer, digester, clock)
        store._thread.start()
        return store

    def append(self, draft: Draft) -> asyncio.Future[int]:
        if self._closed:
            raise Denial(Code.GATEWAY_FAULT, "the ledger is closed")
        row = prepare(draft, self._clock.now(), self._digester)
        if self._queue.qsize() >= MAX_WAITING:
            raise Denial(Code.GATEWAY_FAULT, "too much waits to be put on record", Retry.LATER)
        future: asyncio.Future[int] = self._loop.create_future()
        self._queue.put(_Pending(row=row, future=future))
        return future

    async def reject(self, draft: Draft, cause: str) -> None:
        if self._closed:
            return
        first = not self._rejections.waiting()
        self._rejections.add(draft, cause, self._clock.now())
        if first and self._queue.qsize() < MAX_WAITING:
            self._queue.put(_Wake())

    async def prune(self, before: datetime) -> int:
        """Leave out the rows older than `before`, up to the first call still open; how many they were.

        The rest goes into a new file behind a signed checkpoint, and `seq` goes on.

        Raises:
            Denial: it could not be done (`gateway-fault`); then the ledger is as it was.
        """
        if self._closed:
            raise Denial(Code.GATEWAY_FAULT, "the ledger is closed")
        at = self._clock.now()
        return await self._do(lambda: prune.run(self._writer, before, at, self._digester))

    async def close(self) -> None:
        """Write what waits and the copy of the head, and close the file. Later appends are refused."""
        if self._closed:
            return
        self._closed = True
        await self._do(self._finish, last=True)
        await asyncio.to_thread(self._thread.join)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the newest `seq` on the loop after each commit, until the result is called."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    async def _do(self, work: Callable[[], T], *, last: bool = False) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                done.set_exception(error)

        self._queue.put(_Job(do=run, last=last))
        return await asyncio.wrap_future(done)

    # From here on: the writing thread.

    def _run(self) -> None:
        while True:
            try:
                if self._turn():
                    return
            except Exception as error:  # noqa: BLE001 - the root of the thread; the next row is tried again
                _log.error("the ledger's writer failed: %s", type(error).__name__)

    def _turn(self) -> bool:
        """Write one group, or do one other thing; True when the store is closed."""
        group, job = self._gather()
        if group:
            self._write(group)
        self._flush(self._rejections.due())
        self._copy(COPY_EVERY_S)
        if job:
            job.do()
            self._indexing = True
        elif self._may_index():
            self._index()
        return job is not None and job.last

    def _gather(self) -> tuple[list[_Pending], _Job | None]:
        group: list[_Pending] = []
        busy = self._indexing or self._writer.copy_is_behind or self._rejections.waiting()
        wait_s = None if not busy else 0.001 if self._catching_up and self._may_index() else IDLE_S
        while len(group) < MAX_GROUP:
            try:
                item = self._queue.get(block=not group, timeout=wait_s)
            except queue.Empty:
                break
            if isinstance(item, _Job):
                return group, item
            if isinstance(item, _Wake):
                break
            group.append(item)
        return group, None

    def _write(self, group: Sequence[_Pending]) -> None:
        denial: Denial | None = None
        placed: tuple[Row, ...] = ()
        try:
            placed = self._writer.write([pending.row for pending in group])
            self._wrote_at = time.monotonic()
            if not self._indexing:
                self._indexing, self._indexed_at = True, self._wrote_at
        except Denial as refused:
            denial = refused
        except Exception as error:  # noqa: BLE001 - whatever failed, nobody may wait for ever
            denial = Denial(Code.GATEWAY_FAULT, f"the ledger failed ({type(error).__name__})")
        self._tell(lambda: self._settle(group, placed, denial))

    def _flush(self, counted: tuple[tuple[str, Draft, datetime], ...]) -> None:
        if not counted or time.monotonic() < self._flush_from:
            return
        try:
            placed = self._writer.write([prepare(draft, at, self._digester) for _, draft, at in counted])
        except Denial:
            # The counts stay and are tried again; whatever is appended meanwhile is refused with the reason.
            self._flush_from = time.monotonic() + EACH_S
            return
        self._rejections.written(counted)
        self._indexing = True
        self._tell(lambda: self._settle((), placed, None))

    def _copy(self, at_most_every_s: float) -> None:
        try:
            self._writer.copy_head(at_most_every_s)
        except OSError as error:
            if self._copying:
                _log.warning("the copy of the ledger's head cannot be written: %s", error.strerror)
            self._copying = False
        else:
            self._copying = True

    def _may_index(self) -> bool:
        now = time.monotonic()
        return self._indexing and (now - self._wrote_at > QUIET_S or now - self._indexed_at > OVERDUE_S)

    def _index(self) -> None:
        self._indexed_at = time.monotonic()
        try:
            self._indexing = self._catching_up = self._writer.index_some()
        except sqlite3.Error as error:
            # Searches then read the rows themselves; the next row brings the next attempt.
            self._indexing = self._catching_up = False
            _log.info("the search index waits: %s", type(error).__name__)

    def _finish(self) -> None:
        self._flush_from = 0.0
        self._flush(self._rejections.all())
        self._copy(0.0)
        self._writer.close()

    def _tell(self, what: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    # On the loop again.

    def _settle(self, group: Sequence[_Pending], placed: Sequence[Row], denial: Denial | None) -> None:
        for index, pending in enumerate(group):
            if pending.future.done():
                continue
            if denial is None:
                pending.future.set_result(placed[index].seq)
            else:
                pending.future.set_exception(Denial(denial.code, denial.reason, denial.retry))
        if placed:
            for listener in tuple(self._listeners):
                listener(placed[-1].seq)


def public_key(signing_key: Sealed[Ed25519PrivateKey]) -> Ed25519PublicKey:
    """What the ledger's head is checked with."""
    return signing_key.open().public_key()
