"""The front door: one MCP endpoint a server, every request checked anew. All else is 404."""

import asyncio
import contextlib
import re
from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from ztmcp_desktop.domain.caller import NOT_ASKED
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, is_name
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.answers import send_bytes, send_rejection, send_text
from ztmcp_desktop.gateway.calls import Arrival, Calls
from ztmcp_desktop.gateway.exchange import Timing, wire_of
from ztmcp_desktop.gateway.host_filter import HostFilter
from ztmcp_desktop.gateway.intake import (
    Pairs,
    accepts,
    bearer,
    decode_headers,
    held_of,
    one,
    read_body,
    require_json,
)
from ztmcp_desktop.gateway.legacy import LegacyDoor
from ztmcp_desktop.gateway.legacy_sessions import LegacySession, LegacySessions
from ztmcp_desktop.gateway.listeners import Listener, Listeners
from ztmcp_desktop.gateway.modern import ModernDoor
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.gateway.pipes import PipeParts, Pipes
from ztmcp_desktop.gateway.wire import INVALID_REQUEST, Rejection, RequestId, parse, request_id, require_shape
from ztmcp_desktop.ports import Catalogue, ClientBook, Clock, Gate, Ledger
from ztmcp_desktop.settings import Settings

SWEEP_S = 30.0
_ROUTE = re.compile(rb"/s/([^/]{1,32})/mcp", re.ASCII)
_VERSION_HEADER = "mcp-protocol-version"


class Endpoint:
    """The ASGI application `app`, and the life of what it holds open.

    `start` loads the SDK and begins to end silent sessions; `stop` ends every stream and call.
    """

    def __init__(  # noqa: PLR0913 - the ports it stands on, wired once
        self,
        *,
        gate: Gate,
        clients: ClientBook,
        catalogue: Catalogue,
        ledger: Ledger,
        settings: Settings,
        clock: Clock,
        listeners: Listeners,
        peers: Peers,
        timing: Timing | None = None,
    ) -> None:
        self._peers = peers
        self._clients = clients
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        self._timing = timing or Timing()
        self._calls = Calls(gate, clock, self._timing)
        self._sessions = LegacySessions(clock, settings.max_sessions, settings.session_idle_s, listeners)
        self._listeners = listeners
        self._legacy = LegacyDoor(self._calls, self._sessions, self._timing)
        self._modern = ModernDoor(self._calls, catalogue)
        self.pipes = Pipes(
            PipeParts(
                legacy=self._legacy,
                modern=self._modern,
                clients=clients,
                settings=settings,
                reject=self._reject,
            )
        )
        self._sweeper: asyncio.Task[None] | None = None
        self.app: ASGIApp = HostFilter(self._route, settings.port, settings.allowed_origins, self._reject)
        clients.on_revoke(self._end)

    async def start(self) -> None:
        """Be ready to serve; call it before the server listens."""
        await asyncio.to_thread(sdk.load)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """End every stream and call."""
        self._calls.cancel()
        self._sessions.end_of(None, None)
        await self.pipes.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: bytes = scope["raw_path"]
        if path == b"/healthz":
            await _health(scope, send)
            return
        found = _ROUTE.fullmatch(path)
        name = found[1].decode("latin-1") if found else ""
        if not is_name(name):
            await send_text(send, 404, "not found")
            return
        await self._serve(ServerName(name), scope, receive, send)

    async def _serve(self, server: ServerName, scope: Scope, receive: Receive, send: Send) -> None:
        headers = decode_headers(scope["headers"])
        number: RequestId | None = None
        try:
            principal = self._clients.authenticate(bearer(headers) or "", server)
            # Only for those with a token, or anybody could keep us looking; while the body is read.
            held = held_of(scope)
            self._peers.begin(held)
            arrival = Arrival(
                principal=principal,
                server=server,
                headers=headers,
                accepts=accepts(headers),
                caller=NOT_ASKED,
                wire=wire_of(scope, receive, send),
            )
            if scope["method"] == "POST":
                require_json(headers)
                body = await read_body(receive, headers, self._settings.request_bytes, self._timing.body_s)
                if body is None:
                    return
                message = parse(body, self._settings.max_json_depth)
                number = request_id(message) if "method" in message else None
                require_shape(message)
                arrival = replace(arrival, caller=await self._peers.caller(held))
                # That may have taken its time; the token must be alive still.
                self._clients.confirm(principal, server)
                door = self._legacy if self._is_legacy(headers) else self._modern
                await door.post(arrival, message)
            else:
                await self._other_method(scope["method"], arrival, headers)
        except Rejection as rejection:
            await self._reject(f"http-{rejection.status}", rejection.code, server)
            await send_rejection(send, rejection, number)
        except Denial as denial:
            await self._reject("token", denial.code, server)
            await _send_denial(send, denial)

    async def _other_method(self, method: str, arrival: Arrival, headers: Pairs) -> None:
        if method not in {"GET", "DELETE"}:
            raise Rejection(405, INVALID_REQUEST, "the method is not allowed")
        if not self._is_legacy(headers):
            await self._modern.refuse_method(arrival)
        elif method == "GET":
            await self._legacy.get(arrival)
        else:
            await self._legacy.delete(arrival)

    def _is_legacy(self, headers: Pairs) -> bool:
        sdk.require_single_routing_headers(headers)
        version = one(headers, _VERSION_HEADER)
        return version is None or version in sdk.handshake_versions()

    async def _reject(self, cause: str, code: Code, server: str) -> None:
        draft = Draft(kind=EntryKind.REJECTED, server=server, outcome=Outcome.DENIED, code=code, body={"cause": cause})
        await self._ledger.reject(draft, cause)

    def _end(self, client: ClientName, session: SessionId | None) -> None:
        self._calls.cancel(client, session)
        self._sessions.end_of(client, session)
        self.pipes.end_unconfirmed()

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            self._sessions.sweep()
            self.pipes.end_unconfirmed()
            for listener in self._listeners.all():
                self._end_if_expired(listener)

    def _end_if_expired(self, listener: Listener) -> None:
        try:
            self._clients.confirm(listener.owner, listener.server)
        except Denial as denial:
            listener.lost(denial)
            if isinstance(listener, LegacySession):
                self._sessions.end(listener)


async def _health(scope: Scope, send: Send) -> None:
    if scope["method"] == "GET":
        await send_bytes(send, 200, b'{"status":"ok"}', ((b"content-type", b"application/json"),))
    else:
        await send_text(send, 405, "method not allowed", ((b"allow", b"GET"),))


async def _send_denial(send: Send, denial: Denial) -> None:
    if denial.code is Code.UNAUTHENTICATED:
        await send_text(send, 401, "unauthorized", ((b"www-authenticate", b"Bearer"),))
    else:
        # The client book itself cannot be trusted; nobody is let in.
        await send_text(send, 503, "unavailable")
