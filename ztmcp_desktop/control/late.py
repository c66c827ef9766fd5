"""What the window holds before the gateway behind it is built: the window is painted first."""

from collections.abc import AsyncIterator, Callable

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Entry, Filters, TimelineItem, Verification
from ztmcp_desktop.ports import ControlPlane, Timeline


class Late:
    """Implements `ports.Timeline` and `ports.ControlPlane`; each question is refused until `bind`."""

    def __init__(self) -> None:
        self._timeline: Timeline | None = None
        self._plane: ControlPlane | None = None

    def bind(self, timeline: Timeline, plane: ControlPlane) -> None:
        """From now on these answer."""
        self._timeline, self._plane = timeline, plane

    async def ask(self, verb: str, arguments: JsonObject) -> JsonObject:
        if self._plane is None:
            raise _not_yet()
        return await self._plane.ask(verb, arguments)

    async def page(self, filters: Filters, before: int | None, limit: int) -> tuple[TimelineItem, ...]:
        return await self._bound().page(filters, before, limit)

    async def entries(self, call: str) -> tuple[Entry, ...]:
        return await self._bound().entries(call)

    async def verify(self) -> Verification:
        return await self._bound().verify()

    def export(self, filters: Filters, form: str) -> AsyncIterator[bytes]:
        return self._bound().export(filters, form)

    def on_append(self, listener: Callable[[int], None]) -> Callable[[], None]:
        return self._bound().on_append(listener)

    def _bound(self) -> Timeline:
        if self._timeline is None:
            raise _not_yet()
        return self._timeline


def _not_yet() -> Denial:
    return Denial(Code.SERVER_UNAVAILABLE, "the gateway is still starting", Retry.LATER)
