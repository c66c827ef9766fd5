"""Stage 1: a live token of a known client, for this server and this kind of request."""

from ztmcp_desktop.domain.call import Call, Direction, needed_right
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.proof import Authenticated
from ztmcp_desktop.ports import ClientBook


class Authenticate:
    """Checks the principal again, at the call: the token may have been revoked since the request was read.

    Whether another program than before uses the token is established here, and put to the person by `consent`.
    """

    def __init__(self, clients: ClientBook) -> None:
        self._clients = clients

    async def __call__(self, call: Call) -> Call:
        self._clients.confirm(call.principal, call.server)
        if call.direction is Direction.TO_SERVER and needed_right(call.method) not in call.principal.rights:
            raise Denial(Code.NOT_PERMITTED, "the client's token may only look at what this server has")
        known = self._clients.meet(call.principal, call.caller)
        unlike = "" if known is None else known.place
        return call.proved(Authenticated(client=call.principal.client, server=call.server, unlike=unlike))
