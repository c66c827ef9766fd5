"""On the way back: what a server asks the person through a client must be what a server may ask."""

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.proof import Identified, Vetted
from ztmcp_desktop.scan.questions import fault_of, is_declared


class Vet:
    """Refuses what the client did not declare, and an elicitation for a secret or to a misleading address.

    No rule and no yes lifts it.
    """

    async def __call__(self, call: Call) -> Call:
        call.proof(Identified)
        if not is_declared(call.method, call.params, call.client_capabilities):
            raise Denial(Code.BLOCKED_CONTENT, "the server asked for what the client did not declare that it can")
        if call.method == "elicitation/create" and (fault := fault_of(call.params)) is not None:
            raise Denial(Code.BLOCKED_CONTENT, f"the server's question was kept from the client: {fault}")
        return call.proved(Vetted())
