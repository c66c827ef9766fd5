"""A connection to one server in one era, with what the handshake gave and the lists as they were last."""

import asyncio
from collections.abc import Callable

from ztmcp_desktop.domain.call import Reply
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era, ItemKind, Offer
from ztmcp_desktop.domain.subscription import CHANGES
from ztmcp_desktop.gateway.connection import Connection
from ztmcp_desktop.gateway.flight import Flight
from ztmcp_desktop.gateway.inventory import callable_now, take
from ztmcp_desktop.gateway.link import Route
from ztmcp_desktop.gateway.negotiation import discover, envelope, handshake

MAX_RELISTS = 5
SET_LEVEL_S = 5.0


class Conversation:
    """A connection in one era, with what the handshake gave and the lists as they were last."""

    def __init__(self, connection: Connection, era: Era, capabilities: JsonObject, route: Route) -> None:
        self.connection = connection
        self.era = era
        self._capabilities = capabilities
        self.route = route
        self.greeting: JsonObject = {}
        self.stale = asyncio.Event()
        self._level: str | None = None

    async def ask(self, method: str, params: JsonObject | None) -> Reply:
        return (await self.connection.ask(method, params, self.route))[0]

    async def listen(self, wanted: JsonObject, hear: Callable[[str, JsonObject], None]) -> Flight:
        """Make the standing request of 2026-07-28 for what is `wanted`; as `Connection.listen`."""
        params = {"notifications": wanted, "_meta": envelope(self._capabilities, None)}
        return await self.connection.listen(params, self.route, hear)

    @property
    def capabilities(self) -> JsonObject:
        """What the server says that it can do."""
        said = self.greeting.get("capabilities")
        return said if isinstance(said, dict) else {}

    async def tell(self, method: str, params: JsonObject | None) -> None:
        await self.connection.tell(method, params, self.route)

    async def open(self) -> None:
        """Start and greet. Raises `NotSpoken`, or a `Denial` where the server is gone."""
        await self.connection.start()
        if self.era is Era.MODERN:
            self.greeting = await discover(self, self._capabilities)
        else:
            # The version is needed for `initialized` already, so it is looked at as soon as it comes.
            self.greeting = await handshake(self, self._capabilities, self.connection.agreed)

    async def log_from(self, level: str | None) -> None:
        """See to it that the server logs from `level` on, where it can be told (2025-11-25, server/utilities/logging).

        A server of 2026-07-28 is told with each request. Its refusal is no failure of the call.
        """
        if self.era is Era.MODERN or level is None or level == self._level or "logging" not in self.capabilities:
            return
        self._level = level
        async with asyncio.timeout(SET_LEVEL_S):
            await self.ask("logging/setLevel", {"level": level})

    async def offer(self) -> Offer:
        """All that the server offers now; taken again while it says that it is changing."""
        items: dict[ItemKind, tuple[JsonObject, ...]] = {}
        for _ in range(MAX_RELISTS):
            self.stale.clear()
            items = await take(self._list, self.capabilities)
            if not self.stale.is_set():
                break
        if self.era is Era.MODERN:
            if ItemKind.TOOL in items:
                items[ItemKind.TOOL] = await asyncio.to_thread(callable_now, items[ItemKind.TOOL])
            return Offer(modern=self.greeting, items=items)
        return Offer(legacy=self.greeting, items=items)

    async def _list(self, method: str, params: JsonObject) -> tuple[Reply, int]:
        if self.era is Era.MODERN:
            params = {**params, "_meta": envelope(self._capabilities, None)}
        return await self.connection.ask(method, params, self.route)


def flags_of(capabilities: JsonObject) -> frozenset[str]:
    """The members of a filter for those lists whose changes these capabilities announce."""
    announcing = {
        kind for kind, said in capabilities.items() if isinstance(said, dict) and said.get("listChanged") is True
    }
    return frozenset(flag for flag in CHANGES if flag.removesuffix("ListChanged") in announcing)
