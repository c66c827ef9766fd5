"""The one `subscriptions/listen` request of a conversation with a server of 2026-07-28, for all who listen to it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ztmcp_desktop.domain.call import Reply
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.subscription import ACKNOWLEDGED, RESOURCES
from ztmcp_desktop.gateway.conversation import Conversation, flags_of
from ztmcp_desktop.gateway.flight import Flight

ACKNOWLEDGED_S = 10.0
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0


class Listening:
    """Tells `hear` what the server says of lists that changed and of the resources that are wanted.

    Another wish means another request, made before the last one is ended, so that nothing is missed in between. When
    the server ends it, `lost` is called, and it is made anew for as long as the conversation lasts.
    """

    def __init__(
        self, talk: Conversation, hear: Callable[[str, JsonObject], None], lost: Callable[[Denial], None]
    ) -> None:
        self._talk = talk
        self._hear = hear
        self._lost = lost
        self._lock = asyncio.Lock()
        self._flight: Flight | None = None
        self.agreed: frozenset[str] = frozenset()
        """The resources that the server tells of now: none while its stream is down."""
        self.wanted: frozenset[str] = frozenset()
        """Those that it is to tell of for as long as the conversation lasts."""
        self._ended_at = -FIRST_PAUSE_S
        self._watch: asyncio.Task[None] | None = None

    async def want(self, uris: frozenset[str]) -> frozenset[str]:
        """Hear of these resources from now on, and of every list; gives the resources that the server agreed to.

        Raises:
            Denial: the server does not listen (`server-unavailable`); then all is as before.
        """
        async with self._lock:
            # Whoever was told that the stream ended may ask again at once; the server is not asked as fast.
            await asyncio.sleep(self._ended_at + FIRST_PAUSE_S - asyncio.get_running_loop().time())
            before = self._flight
            await self._open(uris)
            if self._watch is not None:
                self._watch.cancel()
            self._watch = asyncio.create_task(self._watched(self._flight)) if self._flight else None
            agreed = self.agreed
            if before is not None:
                await self._talk.connection.abandon(before)
            return agreed

    async def _open(self, uris: frozenset[str]) -> None:
        wanted: JsonObject = dict.fromkeys(sorted(flags_of(self._talk.capabilities)), True)
        if uris:
            wanted[RESOURCES] = sorted(uris)
        flight: Flight | None = None
        agreed: frozenset[str] = frozenset()
        if wanted:
            acknowledged: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
            flight = await self._talk.listen(wanted, lambda method, params: self._told(acknowledged, method, params))
            try:
                agreed = _resources_in(await self._first(flight, acknowledged)) & uris
            except BaseException:
                await self._talk.connection.abandon(flight)
                raise
        self._flight, self.agreed, self.wanted = flight, agreed, agreed

    async def _first(self, flight: Flight, acknowledged: asyncio.Future[JsonObject]) -> JsonObject:
        """What the server agreed to; it must be the first that it says."""
        ended = asyncio.ensure_future(flight.inbox.get())
        try:
            both: tuple[asyncio.Future[Any], ...] = (ended, acknowledged)
            await asyncio.wait(both, timeout=ACKNOWLEDGED_S, return_when=asyncio.FIRST_COMPLETED)
            if acknowledged.done():
                if ended.done():
                    flight.inbox.put_nowait(ended.result())
                return acknowledged.result()
        finally:
            ended.cancel()
        raise Denial(Code.SERVER_UNAVAILABLE, "the server does not let itself be listened to", Retry.LATER)

    def _told(self, acknowledged: asyncio.Future[JsonObject], method: str, params: JsonObject) -> None:
        if method != ACKNOWLEDGED:
            self._hear(method, params)
        elif not acknowledged.done():
            acknowledged.set_result(params)

    async def _watched(self, flight: Flight) -> None:
        """See the stream end, and make it anew, for as long as the conversation lasts."""
        while self._talk.connection.open:
            over = _over(await flight.inbox.get())
            self.agreed, self._ended_at = frozenset(), asyncio.get_running_loop().time()
            self._lost(over)
            flight = await self._again(flight)

    async def _again(self, ended: Flight) -> Flight:
        """The stream that takes the place of the one that ended; the ended one where the conversation is over too."""
        pause_s = FIRST_PAUSE_S
        while self._talk.connection.open and self._flight is ended:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
            async with self._lock:
                with suppress(Denial):
                    await self._open(self.wanted)
        return self._flight or ended

    async def close(self) -> None:
        """End it."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        flight, self._flight = self._flight, None
        if flight is not None:
            await self._talk.connection.abandon(flight)


def _resources_in(acknowledgement: JsonObject) -> frozenset[str]:
    untrusted = acknowledgement.get("notifications")
    listed = untrusted.get(RESOURCES) if isinstance(untrusted, dict) else None
    return frozenset(uri for uri in listed if isinstance(uri, str)) if isinstance(listed, list) else frozenset()


def _over(ended: object) -> Denial:
    if isinstance(ended, Denial):
        return ended
    refused = isinstance(ended, Reply) and ended.is_error
    how = "the server failed at the stream" if refused else "the server ended the stream"
    return Denial(Code.SERVER_UNAVAILABLE, how, Retry.LATER)
