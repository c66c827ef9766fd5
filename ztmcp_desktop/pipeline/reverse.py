"""The way back: what servers ask of clients goes through the gate with the direction turned round."""

from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial
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
        if self._gate is None or call.direction is not Direction.TO_CLIENT:
            return _refused(call, Denial(Code.GATEWAY_FAULT, "this request has no way to a client"))
        try:
            return await self._gate.run(call)
        except Denial as denial:
            return _refused(call, denial)


def _refused(call: Call, denial: Denial) -> Reply:
    data = {"code": denial.code.value, "call": call.id}
    return Reply(body={"code": REFUSED, "message": denial.reason, "data": data}, is_error=True)
