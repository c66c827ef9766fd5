"""The pages and addresses of the authorization server, over HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from ztmcp_desktop.domain.caller import Attested
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway.answers import send_json
from ztmcp_desktop.gateway.intake import Pairs, held_of, one, read_body, require_json
from ztmcp_desktop.gateway.oauth import metadata, pages
from ztmcp_desktop.gateway.oauth.authorizing import Authorizing, AuthorizingParts, RedirectedError
from ztmcp_desktop.gateway.oauth.codes import Codes
from ztmcp_desktop.gateway.oauth.granting import Granting
from ztmcp_desktop.gateway.oauth.logins import ClientLogins
from ztmcp_desktop.gateway.oauth.parameters import OAuthError, Parameters
from ztmcp_desktop.gateway.oauth.registry import Documents, Registry, registration_document
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.gateway.wire import Rejection, dump, parse
from ztmcp_desktop.ports import ClientBook, Clock, Doorkeeper, Ledger, Pairing, ServerBook

MAX_BODY_BYTES = 64 * 1024
BODY_S = 10.0
MAX_DEPTH = 16
_FORM = "application/x-www-form-urlencoded"

CLOSED = (
    "programs may register only while pairing is open: in the window, Clients, Let a program register; or type "
    "`ztmcp client pair`"
)

Reject = Callable[[str, Code, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthParts:
    """What logging in stands on."""

    servers: ServerBook
    doorkeeper: Doorkeeper
    peers: Peers
    pairing: Pairing
    documents: Documents
    logins: ClientLogins


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the authorization server, Host and Origin checked. `host` is the address of ours that it used."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Pairs
    host: str

    async def form(self) -> Parameters:
        """The body's parameters.

        Raises:
            OAuthError: it is no form. Raises `Rejection` as `read_body`.
        """
        if (one(self.headers, "content-type") or "").split(";")[0].strip().lower() != _FORM:
            raise OAuthError("invalid_request", f"the body must be {_FORM}")
        if one(self.headers, "authorization") is not None:
            raise OAuthError("invalid_client", "clients prove nothing here but PKCE", status=401)
        return Parameters(await self.body())

    async def body(self) -> bytes:
        """The whole body, empty where the client went away. Raises as `read_body`."""
        return await read_body(self.receive, self.headers, MAX_BODY_BYTES, BODY_S) or b""


class OAuthDoor:
    """Answers each address of the authorization server; every refusal is on record."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports it stands on, wired once
        self, parts: OAuthParts, clients: ClientBook, ledger: Ledger, clock: Clock, port: int, reject: Reject
    ) -> None:
        self._parts = parts
        self._ledger = ledger
        self._clock = clock
        self._reject = reject
        self._registry = Registry(clients, parts.documents)
        codes = Codes(parts.logins, clock)
        self._granting = Granting(clients, parts.logins, codes, port)
        self._authorizing = Authorizing(
            AuthorizingParts(
                registry=self._registry,
                clients=clients,
                servers=parts.servers,
                doorkeeper=parts.doorkeeper,
                peers=parts.peers,
                codes=codes,
                clock=clock,
                port=port,
            )
        )

    async def stop(self) -> None:
        """Withdraw every question that waits for the person."""
        await self._authorizing.stop()

    async def root_metadata(self, request: Request) -> None:
        """The metadata of the origin, for older clients."""
        await _send(request, metadata.root_document(request.host))

    async def server_metadata(self, request: Request) -> None:
        """The metadata of the authorization server."""
        available = self._parts.documents.available
        await _send(request, metadata.server_document(request.host, reads_documents=available))

    async def authorize(self, request: Request) -> None:
        """Ask the person; the browser is sent to the page that waits."""
        try:
            asked = await self._authorizing.read(Parameters(request.scope["query_string"]), request.host)
            ticket = self._authorizing.begin(asked)
            await pages.send_on(request.send, f"{metadata.WAIT}?ticket={ticket}")
        except RedirectedError as refusal:
            await self._reject("authorize", refusal.code, "")
            await pages.send_on(request.send, refusal.address)
        except Denial as refusal:
            await self._refuse_by_page(request, refusal)

    async def wait(self, request: Request) -> None:
        """The page that waits, until there is an answer to go on with."""
        try:
            parameters = Parameters(request.scope["query_string"])
            ticket, patient = parameters.need("ticket"), parameters.get("again") is not None
            address = await self._authorizing.look(ticket, patient=patient)
        except Denial as refusal:
            await self._refuse_by_page(request, refusal)
            return
        if address is None:
            await pages.send_waiting(request.send, f"{metadata.WAIT}?again=1&ticket={ticket}")
        else:
            await pages.send_on(request.send, address)

    async def token(self, request: Request) -> None:
        """Tokens for a code or a refresh token."""
        try:
            await _send(request, self._granting.grant(await request.form()))
        except Denial as refusal:
            await self._refuse(request, "token", refusal)

    async def revoke(self, request: Request) -> None:
        """The end of a login."""
        try:
            self._granting.revoke(await request.form())
            await _send(request, {})
        except Denial as refusal:
            await self._refuse(request, "revoke", refusal)

    async def register(self, request: Request) -> None:
        """A new client, while pairing is open."""
        try:
            await _send(request, await self._register(request), 201)
        except Denial as refusal:
            await self._refuse(request, "register", refusal)

    async def _register(self, request: Request) -> JsonObject:
        if self._parts.pairing.left_s <= 0:
            raise OAuthError("access_denied", CLOSED, status=403, code=Code.NOT_PERMITTED)
        require_json(request.headers)
        untrusted = parse(await request.body(), MAX_DEPTH)
        caller = await self._parts.peers.caller(held_of(request.scope))
        place = caller.program.place if isinstance(caller, Attested) else ""
        made = self._registry.register(untrusted, place)
        if not self._parts.pairing.take():
            raise OAuthError("access_denied", CLOSED, status=403, code=Code.NOT_PERMITTED)
        body: JsonObject = {"program": made.program, "redirect_uris": list(made.redirect_uris)}
        await self._ledger.append(Draft(kind=EntryKind.CLIENT, method="register", subject=made.id, body=body))
        return registration_document(made, int(self._clock.now().timestamp()))

    async def _refuse_by_page(self, request: Request, refusal: Denial) -> None:
        await self._reject("authorize", refusal.code, "")
        status = refusal.status if isinstance(refusal, OAuthError) else 503
        await pages.send_refused(request.send, status, refusal.reason)

    async def _refuse(self, request: Request, cause: str, refusal: Denial) -> None:
        await self._reject(cause, refusal.code, "")
        match refusal:
            case OAuthError(error=error, status=status):
                pass
            case Rejection(status=status):
                error = "invalid_client_metadata" if cause == "register" else "invalid_request"
            case _:
                error, status = "server_error", 503
        body = dump({"error": error, "error_description": refusal.reason})
        await send_json(request.send, status, body, ((b"connection", b"close"),))


async def _send(request: Request, document: JsonObject, status: int = 200) -> None:
    await send_json(request.send, status, dump(document))


async def send_resource_metadata(request: Request, server: ServerName) -> None:
    """The metadata of one endpoint as a protected resource."""
    await _send(request, metadata.resource_document(request.host, server))
