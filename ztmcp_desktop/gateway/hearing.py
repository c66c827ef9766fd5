"""What one conversation says outside of calls: what the server is asked to tell, and to whom it goes."""

import asyncio
from collections.abc import Awaitable, Callable

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.proof import Identified, Restored
from ztmcp_desktop.domain.subscription import LISTS, UNSUBSCRIBE
from ztmcp_desktop.gateway.announcing import Announcer
from ztmcp_desktop.gateway.conversation import Conversation
from ztmcp_desktop.gateway.jsonrpc import METHOD_NOT_FOUND, error
from ztmcp_desktop.gateway.link import Noise
from ztmcp_desktop.gateway.listeners import Listener
from ztmcp_desktop.gateway.subscribing import Subscribing

Ask = Callable[[], Awaitable[Reply]]


class Hearing:
    """Begins with an open conversation; what it says goes to `announcer`."""

    def __init__(self, announcer: Announcer) -> None:
        self.announcer = announcer
        self._key = announcer.key
        self._listeners = announcer.listeners
        self._subscribing: Subscribing | None = None
        self._beginning: asyncio.Task[None] | None = None

    @property
    def watched(self) -> bool:
        """Whether somebody waits for changes of a resource."""
        return self._subscribing is not None and bool(self._subscribing.held)

    def begin(self, talk: Conversation) -> None:
        """Ask the server to tell what may be wanted, and again for what is: a new conversation knows of none of it.

        Nobody waits for that; what is subscribed to meanwhile comes after it.
        """
        self._subscribing = Subscribing(talk, lambda method, params: self._said(talk, method, params), self._lost)
        self._beginning = asyncio.create_task(self._subscribing.begin(self._listeners.wanted(self._key)))

    def told(self, talk: Conversation, method: str, params: JsonObject) -> None:
        """A notification that belongs to no request."""
        if talk.era is Era.LEGACY:
            self._said(talk, method, params)
            return
        if method in LISTS:
            talk.stale.set()
        # Whatever it says, it says under the id of a request (2026-07-28, basic/patterns/subscriptions).
        talk.connection.noise(Noise.NOBODY_LISTENS)

    def _said(self, talk: Conversation, method: str, params: JsonObject) -> None:
        """Lists are looked at again, whether anybody hears of it or not."""
        if method in LISTS:
            talk.stale.set()
        why_not = self.announcer.put(method, params)
        if why_not is not None and (method not in LISTS or why_not is not Noise.NOBODY_LISTENS):
            talk.connection.noise(why_not)

    def _lost(self, why: Denial) -> None:
        """The server ended its stream: streams that stand in it begin anew, since something may have been missed."""
        self._listeners.lost(self._key, why)

    async def run(self, call: Call, ask: Ask) -> Reply:
        """Begin or end a subscription. The server is asked for the first who wants a resource, and told of the last.

        Raises:
            Denial: as `ask` and `Listeners.wish`.
        """
        listener, uri = call.subscriber, call.proof(Identified).subject
        found = next((known for known in self._listeners.all() if known is listener), None)
        if found is None or self._subscribing is None:
            return Reply(body=error(METHOD_NOT_FOUND, "there is nobody who could be told"), is_error=True)
        if call.method == UNSUBSCRIBE:
            if not self._listeners.withdraw(self._key, uri, found):
                await self._subscribing.drop(uri)
            return Reply(body={})
        return await self._begun(call, found, uri, self._subscribing, ask)

    async def _begun(self, call: Call, listener: Listener, uri: str, subscribing: Subscribing, ask: Ask) -> Reply:
        # Before the server is asked: what it says with its answer must not be lost.
        named = not call.proof(Restored).kinds
        self._listeners.wish(self._key, uri, listener, named=named)
        good = False
        try:
            reply = await subscribing.add(uri, ask)
            good = not reply.is_error
            if good:
                # It may have asked twice at once, and the other time in vain.
                self._listeners.wish(self._key, uri, listener, named=named)
        finally:
            if not good:
                self._listeners.withdraw(self._key, uri, listener)
        return reply

    async def unwanted(self, uri: str) -> None:
        """Nobody wants to hear of `uri` any more, unless somebody came meanwhile."""
        if self._subscribing is not None and uri not in self._listeners.wanted(self._key):
            await self._subscribing.drop(uri)

    async def close(self, why: Denial) -> None:
        """The conversation is over."""
        self.announcer.close(why)
        if self._beginning is not None:
            self._beginning.cancel()
        if self._subscribing is not None:
            await self._subscribing.close()
