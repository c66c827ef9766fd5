"""Which conversation with a server a call belongs to."""

import json
from dataclasses import dataclass

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.negotiation import capabilities_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Calls with equal keys share a conversation. `able` is what the handshake says the client can do, as JSON."""

    client: ClientName
    server: ServerName
    era: Era
    able: str


def key_of(call: Call, era: Era) -> Key:
    """Where `call` belongs if its server is spoken to in `era`; in the modern one each request says what is able."""
    able = "" if era is Era.MODERN else json.dumps(capabilities_of(call, era), sort_keys=True)
    return Key(client=call.principal.client, server=call.server, era=era, able=able)
