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
from ztmcp_desktop.gateway.clients import Clients
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
from ztmcp_desktop.gateway.oauth.door import OAuthDoor, OAuthParts, Request, send_resource_metadata
from ztmcp_desktop.gateway.oauth.logins import LoggedIn
from ztmcp_desktop.gateway.oauth.metadata import (
    AUTHORIZE,
    REGISTER,
    RESOURCE_METADATA,
    REVOKE,
    SERVER_METADATA,
    TOKEN,
    WAIT,
    insufficient,
    unauthenticated,
)
from ztmcp_desktop.gateway.oauth.scoping import InsufficientScope, require_right
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.gateway.pipes import PipeParts, Pipes
from ztmcp_desktop.gateway.routes import Guard, Route, fixed
from ztmcp_desktop.gateway.wire import INVALID_REQUEST, Rejection, RequestId, parse, request_id, require_shape
from ztmcp_desktop.ports import Catalogue, Clock, Gate, Ledger
from ztmcp_desktop.settings import Settings

SWEEP_S = 30.0
_VERSION_HEADER = "mcp-protocol-version"


class Endpoint:
    """The ASGI application `app`, and the life of what it holds open.

    `start` loads the SDK and begins to end silent sessions; `stop` ends every stream and call.
    """

    def __init__(  # noqa: PLR0913 - the ports it stands on, wired once
        self,
        *,
        gate: Gate,
        clients: Clients,
        catalogue: Catalogue,
        ledger: Ledger,
        settings: Settings,
        clock: Clock,
        oauth: OAuthParts,
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
        self._oauth = OAuthDoor(oauth, clients, ledger, clock, settings.port, self._reject)
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
        self._writing: set[asyncio.Future[int]] = set()
        self.routes = self._table()
        self.app: ASGIApp = HostFilter(self._route, settings.port, settings.allowed_origins, self._reject)
        clients.on_revoke(self._end)
        clients.on_login_end(self._end_login)

    def _table(self) -> tuple[Route, ...]:
        """Every address; the one that carries the traffic first."""
        oauth = self._oauth
        anything = frozenset({"GET", "POST", "DELETE"})
        return (
            Route("mcp", re.compile(rb"/s/([^/]{1,32})/mcp", re.ASCII), anything, Guard.TOKEN, self._serve),
            fixed("health", "/healthz", "GET", Guard.OPEN, _health),
            Route(
                "resource-metadata",
                re.compile(re.escape(RESOURCE_METADATA.encode()) + rb"/s/([^/]{1,32})/mcp", re.ASCII),
                frozenset({"GET"}),
                Guard.OPEN,
                send_resource_metadata,
            ),
            fixed("root-metadata", RESOURCE_METADATA, "GET", Guard.OPEN, oauth.root_metadata),
            fixed("server-metadata", SERVER_METADATA, "GET", Guard.OPEN, oauth.server_metadata),
            fixed("authorize", AUTHORIZE, "GET", Guard.PROOF, oauth.authorize),
            fixed("wait", WAIT, "GET", Guard.PROOF, oauth.wait),
            fixed("token", TOKEN, "POST", Guard.PROOF, oauth.token),
            fixed("register", REGISTER, "POST", Guard.PROOF, oauth.register),
            fixed("revoke", REVOKE, "POST", Guard.PROOF, oauth.revoke),
        )

    async def start(self) -> None:
        """Be ready to serve; call it before the server listens."""
        await asyncio.to_thread(sdk.load)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """End every stream and call, and withdraw every question about a login."""
        self._calls.cancel()
        self._sessions.end_of()
        await self._oauth.stop()
        await self.pipes.stop()
        await asyncio.gather(*self._writing, return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: bytes = scope["raw_path"]
        for route in self.routes:
            if found := route.pattern.fullmatch(path):
                name = found[1].decode("latin-1") if found.re.groups else ""
                if found.re.groups and not is_name(name):
                    break
                if route.guard is not Guard.TOKEN and scope["method"] not in route.methods:
                    allow = ", ".join(sorted(route.methods)).encode()
                    await send_text(send, 405, "method not allowed", ((b"allow", allow),))
                    return
                headers = decode_headers(scope["headers"])
                request = Request(scope, receive, send, headers, one(headers, "host") or "")
                await route.serve(request, ServerName(name))
                return
        await send_text(send, 404, "not found")

    async def _serve(self, request: Request, server: ServerName) -> None:
        scope, headers, send = request.scope, request.headers, request.send
        number: RequestId | None = None
        untrusted_token = bearer(headers)
        try:
            principal = self._clients.authenticate(untrusted_token or "", server)
            # Only for those with a token, or anybody could keep us looking; while the body is read.
            held = held_of(scope)
            self._peers.begin(held)
            arrival = Arrival(
                principal=principal,
                server=server,
                headers=headers,
                accepts=accepts(headers),
                caller=NOT_ASKED,
                wire=wire_of(scope, request.receive, send),
            )
            if scope["method"] == "POST":
                require_json(headers)
                body = await read_body(request.receive, headers, self._settings.request_bytes, self._timing.body_s)
                if body is None:
                    return
                message = parse(body, self._settings.max_json_depth)
                number = request_id(message) if "method" in message else None
                require_shape(message)
                arrival = replace(arrival, caller=await self._peers.caller(held))
                # That may have taken its time; the token must be alive still.
                self._clients.confirm(principal, server)
                require_right(principal, message)
                door = self._legacy if self._is_legacy(headers) else self._modern
                await door.post(arrival, message)
            else:
                await self._other_method(scope["method"], arrival, headers)
        except Rejection as rejection:
            await self._reject(f"http-{rejection.status}", rejection.code, server)
            await send_rejection(send, rejection, number)
        except InsufficientScope as lacking:
            await self._reject("scope", lacking.code, server)
            if lacking.login is not None:
                self._clients.logins.lacks(lacking.login)
            challenge = insufficient(request.host, server, lacking.needed)
            await send_text(send, 403, "insufficient scope", ((b"www-authenticate", challenge),))
        except Denial as denial:
            await self._reject("token", denial.code, server)
            await _send_denial(request, server, denial, shown=untrusted_token is not None)

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

    def _end_login(self, login: LoggedIn) -> None:
        self._calls.cancel(login=login.id)
        self._sessions.end_of(login=login.id)
        draft = Draft(kind=EntryKind.CLIENT, client=login.client, server=login.server, method="logout")
        # Nobody waits for the row, but it is held until it is written.
        writing = asyncio.ensure_future(self._ledger.append(draft))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            self._sessions.sweep()
            self.pipes.end_unconfirmed()
            await self._clients.keep_seen()
            for listener in self._listeners.all():
                self._end_if_expired(listener)

    def _end_if_expired(self, listener: Listener) -> None:
        try:
            self._clients.confirm(listener.owner, listener.server)
        except Denial as denial:
            listener.lost(denial)
            if isinstance(listener, LegacySession):
                self._sessions.end(listener)


async def _health(request: Request) -> None:
    await send_bytes(request.send, 200, b'{"status":"ok"}', ((b"content-type", b"application/json"),))


async def _send_denial(request: Request, server: ServerName, denial: Denial, *, shown: bool) -> None:
    if denial.code is Code.UNAUTHENTICATED:
        challenge = unauthenticated(request.host, server, shown=shown)
        await send_text(request.send, 401, "unauthorized", ((b"www-authenticate", challenge),))
    else:
        # The client book itself cannot be trusted; nobody is let in.
        await send_text(request.send, 503, "unavailable")
