"""What one conversation is subscribed to at its server: each resource once, in the way of the server's era."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ztmcp_desktop.domain.call import Reply
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import SUBSCRIBE, UNSUBSCRIBE
from ztmcp_desktop.gateway.conversation import Conversation, flags_of
from ztmcp_desktop.gateway.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, error
from ztmcp_desktop.gateway.listening import Listening

ASK_S = 10.0


class Subscribing:
    """Subscribes at the server for all who listen, and once for each resource.

    `hear` gets what a server of 2026-07-28 says, `lost` is called when it ends the stream of it.
    """

    def __init__(
        self, talk: Conversation, hear: Callable[[str, JsonObject], None], lost: Callable[[Denial], None]
    ) -> None:
        self._talk = talk
        self._listening = Listening(talk, hear, lost) if talk.era is Era.MODERN else None
        self._lock = asyncio.Lock()
        # At a server of the handshake era.
        self._held: frozenset[str] = frozenset()

    @property
    def held(self) -> frozenset[str]:
        """The resources that the server tells of, or will again."""
        return self._held if self._listening is None else self._listening.wanted

    async def begin(self, uris: frozenset[str]) -> None:
        """Listen for changes of lists, and subscribe anew to `uris`. What the server refuses now is not heard of."""
        async with self._lock:
            with suppress(Denial, TimeoutError):
                if self._listening is not None:
                    if uris or flags_of(self._talk.capabilities):
                        await self._listening.want(uris)
                    return
                for uri in sorted(uris - self._held):
                    if not (await self._ask(SUBSCRIBE, uri)).is_error:
                        self._held |= {uri}

    async def add(self, uri: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Be told of `uri`; `ask` makes the client's request of a server of the handshake era.

        Raises:
            Denial: as `ask`, or the server does not listen.
        """
        async with self._lock:
            if uri in (self._held if self._listening is None else self._listening.agreed):
                return Reply(body={})
            if self._listening is None:
                await self._talk.connection.overhear()
                reply = await ask()
                if not reply.is_error:
                    self._held |= {uri}
                return reply
            if not _may_subscribe(self._talk.capabilities):
                return Reply(body=error(METHOD_NOT_FOUND, "Method not found"), is_error=True)
            if uri in await self._listening.want(self._listening.wanted | {uri}):
                return Reply(body={})
            return Reply(body=error(INVALID_PARAMS, "the server does not tell of this resource"), is_error=True)

    async def drop(self, uri: str) -> None:
        """Be told of `uri` no more; a server that is gone or refuses has nothing to be told."""
        async with self._lock:
            if uri not in self.held:
                return
            self._held -= {uri}
            with suppress(Denial, TimeoutError):
                if self._listening is not None:
                    # Kept even where the server does not listen now, so that it is not asked for this one again.
                    self._listening.wanted -= {uri}
                    await self._listening.want(self._listening.wanted)
                else:
                    await self._ask(UNSUBSCRIBE, uri)

    async def _ask(self, method: str, uri: str) -> Reply:
        if method == SUBSCRIBE:
            await self._talk.connection.overhear()
        async with asyncio.timeout(ASK_S):
            return await self._talk.ask(method, {"uri": uri})

    async def close(self) -> None:
        """End it; the conversation is over."""
        if self._listening is not None:
            await self._listening.close()


def _may_subscribe(capabilities: JsonObject) -> bool:
    resources = capabilities.get("resources")
    return isinstance(resources, dict) and resources.get("subscribe") is True
