"""What a `subscriptions/listen` stream of a client hears, until it ends."""

import asyncio

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import CHANGES
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.listeners import Listeners

MAX_WAITING = 256


class ListenStream:
    """Keeps what was said until it is taken; of equal notifications that wait one is kept, since each says the same.

    `offered` are the members of a filter that the approved server can honour.
    """

    def __init__(self, call: Call, key: Key, listeners: Listeners, offered: frozenset[str]) -> None:
        self.owner = call.principal
        self.server = call.server
        self.era = Era.MODERN
        self.stands_in = key
        self.offered = offered
        self._listeners = listeners
        self._methods: frozenset[str] = frozenset()
        self._waiting: dict[tuple[str, str], JsonObject] = {}
        self._wake = asyncio.Event()
        self._why_lost: Denial | None = None
        listeners.join(self)

    def agree(self, flags: frozenset[str]) -> None:
        """The list changes that it hears from now on."""
        self._methods = frozenset(CHANGES[flag] for flag in flags)

    def hears(self, method: str, params: JsonObject) -> bool:
        del params
        return method in self._methods

    def tell(self, method: str, params: JsonObject) -> None:
        self._waiting[method, str(params.get("uri", ""))] = params
        if len(self._waiting) > MAX_WAITING:
            # It is told to begin anew, and then reads everything; what is dropped without a word would be stale.
            self.lost(Denial(Code.SERVER_UNAVAILABLE, "this client does not read what it listens to", Retry.LATER))
        self._wake.set()

    def lost(self, why: Denial) -> None:
        self._why_lost = self._why_lost or why
        self._wake.set()

    async def next(self) -> tuple[str, JsonObject]:
        """The next notification, in the order in which they came.

        Raises:
            Denial: the stream is over; the client is to listen anew.
        """
        while True:
            if self._why_lost is not None:
                raise self._why_lost
            if self._waiting:
                (method, uri), params = next(iter(self._waiting.items()))
                del self._waiting[method, uri]
                return method, params
            self._wake.clear()
            await self._wake.wait()

    def close(self) -> None:
        """Hear nothing any more."""
        self._listeners.leave(self)
