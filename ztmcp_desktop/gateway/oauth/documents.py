"""Client ID metadata documents, fetched through the outbound guard."""

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.fetch import fetch
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.outbound_guard import PUBLIC

MAX_BYTES = 16 * 1024
MAX_FETCHES = 8
"""How many at a time: anybody on this machine may name documents, and they share the connections of the servers."""
_OK = 200


class GuardedDocuments:
    """Implements `registry.Documents`: https to public addresses only, each checked and connected to as checked."""

    available = True

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._open = 0

    async def fetch(self, url: str) -> JsonObject:
        if self._open >= MAX_FETCHES:
            raise Denial(Code.SERVER_UNAVAILABLE, "too many documents are being fetched already", Retry.LATER)
        self._open += 1
        try:
            found = await fetch(self._http, url, PUBLIC, limit_bytes=MAX_BYTES)
        finally:
            self._open -= 1
        if found.status != _OK or found.kind != "application/json":
            raise Denial(Code.SERVER_UNAVAILABLE, "there is no JSON document at its address")
        return found.content
