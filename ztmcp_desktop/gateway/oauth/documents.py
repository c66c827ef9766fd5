"""Client ID metadata documents, fetched through the outbound guard."""

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.fetch import fetch
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.outbound_guard import PUBLIC

MAX_BYTES = 16 * 1024
_OK = 200


class GuardedDocuments:
    """Implements `registry.Documents`: https to public addresses only, each checked and connected to as checked."""

    available = True

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def fetch(self, url: str) -> JsonObject:
        found = await fetch(self._http, url, PUBLIC, limit_bytes=MAX_BYTES)
        if found.status != _OK or found.kind != "application/json":
            raise Denial(Code.SERVER_UNAVAILABLE, "there is no JSON document at its address")
        return found.content
