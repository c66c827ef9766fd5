"""The window's way into the core: asks on the core's loop, and hands results back on the window's thread."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Entry, Filters, TimelineItem, Verification
from ztmcp_desktop.ports import ControlPlane, Timeline

ASK_S = 180.0
READ_S = 30.0
MAX_PENDING = 64

Done = Callable[[Any], None]
Failed = Callable[[str], None]
NO_CORE = "The gateway has stopped, so nothing passes. Start ztmcp again."


def failure_sentence(error: BaseException) -> str:
    """What to tell the person; never the text of an unexpected error, which could hold anything."""
    if isinstance(error, Denial):
        return error.reason[:1].upper() + error.reason[1:].rstrip(".") + "."
    if isinstance(error, TimeoutError):
        return (
            "The gateway took too long. Nothing was changed that it has not confirmed; look at the list and try again."
        )
    return f"The gateway failed ({type(error).__name__}). Nothing passes that was not checked; the log says more."


class Bridge(QObject):
    """Runs coroutines of the ports in the core. Results arrive through a queued signal."""

    appended = Signal(int)
    _arrived = Signal(object, object, object)

    def __init__(self, loop: asyncio.AbstractEventLoop, timeline: Timeline, plane: ControlPlane) -> None:
        super().__init__()
        self._loop = loop
        self._timeline = timeline
        self._plane = plane
        self._pending = 0
        self._stop_listening: Callable[[], None] | None = None
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def listen(self) -> None:
        """Emit `appended` after each commit of the ledger."""
        self._call(self._begin_listening(), READ_S, lambda _none: None, lambda _why: None)

    async def _begin_listening(self) -> None:
        if self._stop_listening is None:
            self._stop_listening = self._timeline.on_append(self.appended.emit)

    def ask(self, verb: str, arguments: JsonObject, done: Done, failed: Failed) -> None:
        """`ControlPlane.ask`; `done` gets the result, `failed` a sentence."""
        self._call(self._plane.ask(verb, arguments), ASK_S, done, failed)

    def page(
        self, filters: Filters, before: int | None, limit: int, done: Callable[[tuple[TimelineItem, ...]], None]
    ) -> None:
        """`Timeline.page`; an unreadable ledger gives an empty page."""
        self._call(self._timeline.page(filters, before, limit), READ_S, done, lambda _why: done(()))

    def entries(self, call: str, done: Callable[[tuple[Entry, ...]], None], failed: Failed) -> None:
        """`Timeline.entries`."""
        self._call(self._timeline.entries(call), READ_S, done, failed)

    def verify(self, done: Callable[[Verification], None], failed: Failed) -> None:
        """`Timeline.verify`."""
        self._call(self._timeline.verify(), ASK_S, done, failed)

    def _call(self, work: Coroutine[Any, Any, Any], limit_s: float, done: Done, failed: Failed) -> None:
        if self._pending >= MAX_PENDING or not self._loop.is_running():
            work.close()
            failed(NO_CORE if not self._loop.is_running() else "The gateway is busy. Try again in a moment.")
            return
        bounded = _bounded(work, limit_s)
        try:
            future = asyncio.run_coroutine_threadsafe(bounded, self._loop)
        except RuntimeError:
            # The core ended between the check and here.
            bounded.close()
            work.close()
            failed(NO_CORE)
            return
        self._pending += 1
        future.add_done_callback(lambda ended: self._arrived.emit(ended, done, failed))

    def _deliver(self, ended: "Future[Any]", done: Done, failed: Failed) -> None:
        self._pending -= 1
        try:
            error = ended.exception()
        except CancelledError:
            failed(NO_CORE)
            return
        if error is None:
            done(ended.result())
        else:
            failed(failure_sentence(error))


async def _bounded(work: Coroutine[Any, Any, Any], limit_s: float) -> object:
    return await asyncio.wait_for(work, limit_s)
