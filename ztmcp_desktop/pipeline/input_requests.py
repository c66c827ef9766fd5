"""What a server of 2026-07-28 asks of the client in its answer is judged like what others ask during a call."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.domain.proof import MaskedResult
from ztmcp_desktop.ports import Clock

MAX_INPUT_REQUESTS = 16
INPUT_REQUIRED = "input_required"
_METHODS = frozenset({"elicitation/create", "sampling/createMessage", "roots/list"})

Run = Callable[[Call], Awaitable[Reply]]


class InputRequests:
    """Runs each input request through the gate, as a call to the client; one that is refused refuses the answer.

    `bind` gives it the gate, which cannot exist before its stages do.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._run: Run | None = None

    def bind(self, run: Run) -> None:
        """The way through the gate; until then every input request is refused."""
        self._run = run

    async def __call__(self, call: Call) -> Call:
        call.proof(MaskedResult)
        if call.reply is None:
            raise Denial(Code.GATEWAY_FAULT, "there is no answer to look into")
        if call.reply.is_error or call.reply.body.get("resultType") != INPUT_REQUIRED:
            return call
        for method, params in _requests(call.reply.body.get("inputRequests", {})):
            if self._run is None:
                raise Denial(Code.GATEWAY_FAULT, "this request has no way to a client")
            await self._run(self._turned_round(call, method, params))
        return call

    def _turned_round(self, call: Call, method: str, params: JsonObject) -> Call:
        return replace(
            call,
            id=CallId(uuid4().hex),
            at=self._clock.now(),
            method=method,
            params=params,
            direction=Direction.TO_CLIENT,
            channel=_InTheAnswer(),
            proofs=(),
            outbound=None,
            reply=None,
        )


class _InTheAnswer:
    """The way to the client is the answer itself; what the client says comes with its next request."""

    async def notify(self, method: str, params: JsonObject | None) -> None:
        return

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        return {}


def _requests(untrusted: Json) -> tuple[tuple[str, JsonObject], ...]:
    if not isinstance(untrusted, dict) or len(untrusted) > MAX_INPUT_REQUESTS:
        raise _blocked()
    found: list[tuple[str, JsonObject]] = []
    for asked in untrusted.values():
        method = asked.get("method") if isinstance(asked, dict) else None
        params = asked.get("params", {}) if isinstance(asked, dict) else None
        if method not in _METHODS or not isinstance(params, dict):
            raise _blocked()
        found.append((method, params))
    return tuple(found)


def _blocked() -> Denial:
    return Denial(Code.BLOCKED_CONTENT, "the server's answer asks the client for what no server may ask")
