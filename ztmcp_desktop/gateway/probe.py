"""What a server offers, seen once before its approval: both eras tried, nothing given to it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era, Offer
from ztmcp_desktop.domain.subscription import LISTS
from ztmcp_desktop.gateway.connection import Connection
from ztmcp_desktop.gateway.conversation import Conversation
from ztmcp_desktop.gateway.jsonrpc import INTERNAL_ERROR, error
from ztmcp_desktop.gateway.link import Link, Noise, Route
from ztmcp_desktop.gateway.negotiation import ALL_CAPABILITIES, NotSpoken
from ztmcp_desktop.gateway.pins import compare
from ztmcp_desktop.ports import ChildProcess

SETTLE_S = 0.3
MIN_SECOND_ERA_S = 5.0
ENDING_S = 1.0

Open = Callable[[Era], Awaitable[Link]]


class _Onlooker:
    """Answers a server under probe: it may ask what it likes and gets nothing."""

    def __init__(self) -> None:
        self.talk: Conversation | None = None

    async def asked(self, method: str, params: JsonObject, call: Call | None) -> Reply:
        del params, call
        if method == "ping":
            return Reply(body={})
        return Reply(body=error(INTERNAL_ERROR, "nobody is there to be asked yet"), is_error=True)

    def told(self, method: str, params: JsonObject) -> None:
        del params
        if self.talk is not None and method in LISTS:
            self.talk.stale.set()

    def dropped(self, kind: Noise, count: int) -> None:
        del kind, count


async def probe(open_link: Open, route: Route, start_s: float) -> Offer:
    """What the server offers, every client capability declared, within `start_s` in all.

    A server is asked in each era in a process of its own, since the first request fixes the era of a pipe. One that
    offers different things in the two is taken for its older one only, so that it cannot show one face to the person
    and the other to a client.

    Raises:
        Denial: it does not answer, or speaks no version that we do (`server-unavailable`); `too-large`.
    """
    began = asyncio.get_running_loop().time()
    legacy, failure = await _face(open_link, Era.LEGACY, route, start_s)
    spent = asyncio.get_running_loop().time() - began
    left_s = start_s - spent
    if legacy is not None:
        left_s = min(left_s, max(MIN_SECOND_ERA_S, 2 * spent))
    modern, _ = await _face(open_link, Era.MODERN, route, left_s)
    if legacy is None and modern is None:
        raise failure
    if legacy is None or modern is None:
        return legacy or modern or Offer()
    return legacy if compare(legacy, modern) else replace(legacy, modern=modern.modern)


async def _face(open_link: Open, era: Era, route: Route, limit_s: float) -> tuple[Offer | None, Denial]:
    failure = Denial(Code.SERVER_UNAVAILABLE, "the server speaks no protocol version that the gateway does")
    if limit_s <= 0:
        return None, failure
    try:
        return await _in_time(open_link, era, route, limit_s), failure
    except NotSpoken:
        return None, failure
    except Denial as denial:
        if denial.code is not Code.SERVER_UNAVAILABLE:
            raise
        return None, denial


async def _in_time(open_link: Open, era: Era, route: Route, limit_s: float) -> Offer:
    connection: Connection | None = None
    try:
        async with asyncio.timeout(limit_s):
            onlooker = _Onlooker()
            connection = Connection(await open_link(era), onlooker)
            talk = onlooker.talk = Conversation(connection, era, ALL_CAPABILITIES, route)
            await talk.open()
            offer = await talk.offer()
            try:
                # Servers that register things after the handshake say so within a moment.
                await asyncio.wait_for(talk.stale.wait(), SETTLE_S)
            except TimeoutError:
                return offer
            return await talk.offer()
    except TimeoutError:
        raise Denial(
            Code.SERVER_UNAVAILABLE, f"the server did not answer within {limit_s:.0f} s", Retry.LATER
        ) from None
    finally:
        if connection is not None:
            await connection.close(Denial(Code.SERVER_UNAVAILABLE, "the probe is over"))


async def ending_of(children: Sequence[ChildProcess]) -> str:
    """How the first of these processes that ended by itself did, as a sentence; empty where we ended them all."""
    for child in children:
        try:
            status = await asyncio.wait_for(child.wait(), ENDING_S)
        except TimeoutError:
            continue
        if status >= 0:
            return f"the server ended by itself, with exit status {status}"
        if status != -signal.SIGKILL:
            return f"the server was ended by the signal {-status} ({signal.strsignal(-status)})"
    return ""
