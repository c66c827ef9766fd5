"""The way back: what servers ask of clients goes through the gate with the direction turned round."""

from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.pipeline.back_channel import MaskedChannel
from ztmcp_desktop.ports import Gate

REFUSED = -31001


class Reverse:
    """Implements `ports.ReverseGate`; `bind` gives it the gate, which cannot exist before the upstreams do."""

    def __init__(self) -> None:
        self._gate: Gate | None = None

    def bind(self, gate: Gate) -> None:
        """The gate to go through; until then every request is refused."""
        self._gate = gate

    async def ask_client(self, call: Call) -> Reply:
        channel = call.channel
        if self._gate is None or call.direction is not Direction.TO_CLIENT or not isinstance(channel, MaskedChannel):
            return _refused(call, Denial(Code.GATEWAY_FAULT, "this request has no way to a client"))
        try:
            # Before the gate, so that what is recorded and shown is what the client will get.
            return await self._gate.run(call.with_params(await channel.cleaned(call.method, call.params)))
        except Denial as denial:
            return _refused(call, denial)

    async def tell_client(self, call: Call, plain: frozenset[str]) -> JsonObject | None:
        return None if self._gate is None else await self._gate.tell(call, plain)


def _refused(call: Call, denial: Denial) -> Reply:
    data = {"code": denial.code.value, "call": call.id}
    return Reply(body={"code": REFUSED, "message": denial.reason, "data": data}, is_error=True)
