"""Passes on, in order, what a server says outside of calls, to those who may hear it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from uuid import uuid4

from ztmcp_desktop.domain.call import Call, Direction, Outbound
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId, ServerName
from ztmcp_desktop.domain.offer import Offer
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.subscription import CHANGES, LISTS, UPDATED
from ztmcp_desktop.gateway.jsonrpc import encode
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.link import Noise
from ztmcp_desktop.gateway.listeners import Listener, Listeners
from ztmcp_desktop.gateway.listing import subscribable
from ztmcp_desktop.gateway.negotiation import META_PREFIX
from ztmcp_desktop.ports import Clock, ReverseGate

MAX_WAITING = 1000
MAX_BYTES = 64 * 1024
MAX_A_SECOND = 20
MAX_BYTES_A_SECOND = 64 * 1024
"""Each is a row in the ledger for each who hears it, and nobody has asked for it."""

Refresh = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


class Announcer:
    """One conversation's way to those who listen. Every notification goes through the gate, once for each of them.

    `refresh` looks again at what the server lists, so that a list that changed is compared with its pins before any
    client hears of it.
    """

    def __init__(
        self,
        *,
        key: Key,
        listeners: Listeners,
        reverse: ReverseGate,
        clock: Clock,
        refresh: Refresh,
    ) -> None:
        self.key = key
        self.listeners = listeners
        self._reverse = reverse
        self._clock = clock
        self._refresh = refresh
        self._secrets: Mapping[str, str] = {}
        self._waiting: dict[tuple[str, str], JsonObject] = {}
        self._numbers = count()
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    def keep_from_view(self, secrets: Mapping[str, str]) -> None:
        """What the server was given and must never say to a client."""
        self._secrets = secrets

    def put(self, method: str, params: JsonObject) -> Noise | None:
        """Take a notification; why not, where nobody hears it, it is too large, or too many wait already."""
        if not self.listeners.hearing(self.key, method, params):
            return Noise.NOBODY_LISTENS
        if len(encode(params)) > MAX_BYTES:
            return Noise.TOO_MUCH
        if method in LISTS:
            # It goes to other clients as well, and so may carry nothing that this one's process knows.
            params = {}
        # That something changed is said once, however often it changes until then.
        same = str(params.get("uri", "")) if method in LISTS or method == UPDATED else str(next(self._numbers))
        if len(self._waiting) >= MAX_WAITING and (method, same) not in self._waiting:
            return Noise.TOO_MUCH
        self._waiting[method, same] = params
        self._wake.set()
        if self._pump is None:
            self._pump = asyncio.create_task(self._run())
        return None

    def close(self, why: Denial) -> None:
        """End it, and the streams that stood in this conversation."""
        if self._pump is not None:
            self._pump.cancel()
        self.listeners.lost(self.key, why)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began, passed_bytes = loop.time(), 0
            for _ in range(MAX_A_SECOND):
                while not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                method, same = next(iter(self._waiting))
                params = self._waiting.pop((method, same))
                try:
                    passed_bytes += len(encode(params)) * await self._announce(method, params)
                except Exception:  # noqa: BLE001 - the root of a task: one notification must not end all others
                    _log.error("a notification could not be passed on")
                if passed_bytes > MAX_BYTES_A_SECOND:
                    break
            await asyncio.sleep(max(1.0, passed_bytes / MAX_BYTES_A_SECOND) - (loop.time() - began))

    async def _announce(self, method: str, params: JsonObject) -> int:
        """Pass it on; to how many."""
        if method in LISTS:
            # One that does not list any more is refused at the next call; here it only matters that it was looked at.
            with suppress(Denial):
                await self._refresh()
        found = self.listeners.hearing(self.key, method, params)
        for listener, named in found:
            await self._pass_on(listener, method, params, named)
        return len(found)

    async def _pass_on(self, listener: Listener, method: str, params: JsonObject, named: bool) -> None:
        outbound = Sealed(Outbound(params={}, secrets=self._secrets))
        call = replace(_to(listener, method, _of_no_era(params), self._clock), outbound=outbound)
        cleaned = await self._reverse.tell_client(call, frozenset({"uri"}) if named else frozenset())
        # The check takes time, in which it may have left or unsubscribed.
        still = (other for other, _ in self.listeners.hearing(self.key, method, params))
        if cleaned is not None and any(other is listener for other in still):
            listener.tell(method, cleaned)


async def announce_lists(
    server: ServerName, offer: Offer, listeners: Listeners, reverse: ReverseGate, clock: Clock
) -> None:
    """Tell who listens to a server that its lists changed: what clients see of it has been approved anew."""
    for listener in [listener for listener in listeners.all() if listener.server == server]:
        for flag in sorted(subscribable(offer, listener.era) & CHANGES.keys()):
            if listener.hears(CHANGES[flag], {}):
                cleaned = await reverse.tell_client(_to(listener, CHANGES[flag], {}, clock), frozenset())
                if cleaned is not None and listeners.present(listener):
                    listener.tell(CHANGES[flag], cleaned)


def _to(listener: Listener, method: str, params: JsonObject, clock: Clock) -> Call:
    return Call(
        id=CallId(uuid4().hex),
        at=clock.now(),
        principal=listener.owner,
        server=listener.server,
        method=method,
        params=params,
        era=listener.era,
        channel=_Nowhere(),
        direction=Direction.TO_CLIENT,
    )


class _Nowhere:
    """A notification has no answer."""

    async def notify(self, method: str, params: JsonObject | None) -> None:
        return

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        raise Denial(Code.SERVER_UNAVAILABLE, "a notification has no way back")


def _of_no_era(params: JsonObject) -> JsonObject:
    """`params` without what the protocol itself says in `_meta`, which holds on the server's side only."""
    meta = params.get("_meta")
    rest = {key: value for key, value in params.items() if key != "_meta"}
    kept = {k: v for k, v in meta.items() if not k.startswith(META_PREFIX)} if isinstance(meta, dict) else {}
    return {**rest, "_meta": kept} if kept else rest
