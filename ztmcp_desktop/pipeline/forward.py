"""Stage 10: the call goes to the server, and its reply comes back."""

from dataclasses import replace

from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.proof import Consented, Forwarded, Identified, Injected, Judged, Vetted
from ztmcp_desktop.ports import Clock, Lists, Upstreams
from ztmcp_desktop.scan.size import size_of

DENIED = -31001
SERVER_ERROR = -32000
OUR_META = "ztmcp/"


class Forward:
    """Sends what inject sealed, and nothing else."""

    def __init__(self, upstreams: Upstreams, clock: Clock) -> None:
        self._upstreams = upstreams
        self._clock = clock

    async def __call__(self, call: Call) -> Call:
        call.proof(Injected)
        if call.outbound is None or call.direction is not Direction.TO_SERVER:
            raise Denial(Code.GATEWAY_FAULT, "there is nothing sealed to send")
        began_s = self._clock.monotonic()
        reply = _unforged(await self._upstreams.send(call))
        duration_ms = round((self._clock.monotonic() - began_s) * 1000)
        size_bytes = size_of(reply.body)
        return call.with_reply(reply).proved(Forwarded(duration_ms=duration_ms, size_bytes=size_bytes))


class AnswerFromCatalogue:
    """Ends the short way: lists and greetings are answered from what was approved, and start nothing."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def __call__(self, call: Call) -> Call:
        call.proof(Identified)
        call.proof(Judged)
        return call.with_reply(self._lists.answer(call))


class ForwardToClient:
    """Ends the way back: a server's request, judged, is put to the client of the call that it belongs to."""

    async def __call__(self, call: Call) -> Call:
        for needed in (Vetted, Judged, Consented):
            call.proof(needed)
        if call.direction is not Direction.TO_CLIENT:
            raise Denial(Code.GATEWAY_FAULT, "a client's request cannot go to a client")
        return call.with_reply(Reply(body=await call.channel.request(call.method, call.params)))


def _unforged(reply: Reply) -> Reply:
    """The reply without what only the gateway may say: its marks in `_meta`, and the code of its refusals."""
    body = reply.body
    if reply.is_error:
        return replace(reply, body={**body, "code": SERVER_ERROR}) if body.get("code") == DENIED else reply
    untrusted_meta = body.get("_meta")
    if not isinstance(untrusted_meta, dict) or not any(key.startswith(OUR_META) for key in untrusted_meta):
        return reply
    meta = {key: value for key, value in untrusted_meta.items() if not key.startswith(OUR_META)}
    return replace(reply, body={**body, "_meta": meta})
