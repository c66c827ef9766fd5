"""Stage 1: a live token of a known client, for this server."""

from ztmcp_desktop.domain.call import Call
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
        known = self._clients.meet(call.principal, call.caller)
        unlike = "" if known is None else known.place
        return call.proved(Authenticated(client=call.principal.client, server=call.server, unlike=unlike))
