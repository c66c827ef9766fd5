"""Ends the chain of `subscriptions/listen`: a stream that stays open, and tells only what its client may hear."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.domain.proof import Judged
from ztmcp_desktop.domain.subscription import ACKNOWLEDGED, CHANGES, RESOURCES, SUBSCRIBE, SUBSCRIPTION_ID
from ztmcp_desktop.pipeline.back_channel import NoChannel
from ztmcp_desktop.ports import Clock, Stream, Upstreams

MAX_RESOURCES = 64
METHOD_NOT_FOUND = -32601

Run = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filter:
    flags: frozenset[str]
    uris: tuple[str, ...]


class Listen:
    """Each resource of the filter is a call of its own through the gate, as if the client had subscribed to it alone.

    What is refused, and what the server does not offer, is missing in the acknowledgement; nothing else is told of it.
    `bind` gives it the gate, which cannot exist before its stages do.
    """

    def __init__(self, upstreams: Upstreams, clock: Clock) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._run: Run | None = None

    def bind(self, run: Run) -> None:
        """The way through the gate; until then no resource is subscribed to."""
        self._run = run

    async def __call__(self, call: Call) -> Call:
        call.proof(Judged)
        wanted = _filter_of(call.params.get("notifications"))
        stream = self._upstreams.listen(call)
        try:
            if not stream.offered:
                body: JsonObject = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
                return replace(call, reply=Reply(body=body, is_error=True))
            await self._serve(call, wanted, stream)
        finally:
            stream.close()
        raise Denial(Code.GATEWAY_FAULT, "a stream ended without a reason")

    async def _serve(self, call: Call, wanted: _Filter, stream: Stream) -> None:
        flags = wanted.flags & stream.offered
        stream.agree(flags)
        offered = wanted.uris if RESOURCES in stream.offered else ()
        uris = [uri for uri in offered if await self._subscribed(call, stream, uri)]
        agreed: JsonObject = dict.fromkeys(sorted(flags), True)
        await self._tell(call, ACKNOWLEDGED, {"notifications": {**agreed, **({RESOURCES: uris} if uris else {})}})
        while True:
            await self._tell(call, *await stream.next())

    async def _subscribed(self, call: Call, stream: Stream, uri: str) -> bool:
        if self._run is None:
            return False
        asked = replace(
            call,
            id=CallId(uuid4().hex),
            at=self._clock.now(),
            method=SUBSCRIBE,
            params={"uri": uri},
            channel=NoChannel(),
            subscriber=stream,
            proofs=(),
        )
        try:
            return not (await self._run(asked)).is_error
        except Denial:
            # It is in the ledger; the acknowledgement says the rest.
            return False

    @staticmethod
    async def _tell(call: Call, method: str, params: JsonObject) -> None:
        """Everything on the stream carries the id of the request that opened it (2026-07-28, subscriptions)."""
        number = call.params.get("_meta", {}).get(SUBSCRIPTION_ID)
        meta = params.get("_meta", {})
        await call.channel.notify(method, {**params, "_meta": {**meta, SUBSCRIPTION_ID: number}})


def _filter_of(untrusted: Json) -> _Filter:
    """What is asked for; members that we do not know are asked of nobody, since nobody could judge them.

    Raises:
        Denial: it is no filter (`schema-mismatch`), or names too many resources (`too-large`).
    """
    if not isinstance(untrusted, dict):
        raise _no_filter()
    named = untrusted.get(RESOURCES) or []
    if not isinstance(named, list) or not all(isinstance(uri, str) for uri in named):
        raise _no_filter()
    if any(not isinstance(untrusted.get(flag), bool | None) for flag in CHANGES):
        raise _no_filter()
    uris = tuple(dict.fromkeys(named))
    if len(uris) > MAX_RESOURCES:
        raise Denial(Code.TOO_LARGE, f"at most {MAX_RESOURCES} resources can be listened to on one stream")
    return _Filter(flags=frozenset(flag for flag in CHANGES if untrusted.get(flag) is True), uris=uris)


def _no_filter() -> Denial:
    return Denial(Code.SCHEMA_MISMATCH, "notifications must be an object that says what to listen to")
