"""Refuses requests that a web page or a rebound name may have sent, before anything else looks at them."""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.gateway.answers import send_text

ABSOLUTE_TARGET = "ztmcp.absolute_target"
"""Key in the ASGI scope's `extensions` for a request target that was not a plain path."""

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Our own addresses, as a Host header writes them before the port."""

_SAME_SITE = {b"none", b"same-origin"}

Reject = Callable[[str, Code, str], Awaitable[None]]


class HostFilter:
    """An ASGI application around `app`: 403 unless Host is one of ours and any Origin is listed.

    Against DNS rebinding (CVE-2025-66416 and its kin) and cross-site requests from a browser. No CORS header is ever
    sent. `reject(cause, code, server)` records each refusal.
    """

    def __init__(self, app: ASGIApp, port: int, allowed_origins: tuple[str, ...], reject: Reject) -> None:
        self._app = app
        self._hosts = {f"{host}:{port}".encode() for host in HOSTS}
        self._origins = {origin.encode() for origin in allowed_origins if origin != "null"}
        self._reject = reject

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Neither WebSocket nor lifespan messages have a place here.
            return
        if cause := self._refusal(scope):
            await self._reject(cause, Code.NOT_PERMITTED, "")
            await send_text(send, 403, "forbidden")
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        if (scope.get("extensions") or {}).get(ABSOLUTE_TARGET):
            return "absolute-target"
        found: dict[bytes, list[bytes]] = {b"host": [], b"origin": [], b"sec-fetch-site": []}
        for name, value in scope["headers"]:
            if name in found:
                found[name].append(value)
        hosts, origins, sites = found.values()
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "host"
        if len(origins) > 1 or any(origin not in self._origins for origin in origins):
            return "origin"
        if not origins and any(site not in _SAME_SITE for site in sites):
            return "cross-site"
        return None
