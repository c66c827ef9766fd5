"""Authorization requests: read, put to the person in our own window, and answered with a code or a refusal."""

import asyncio
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from ztmcp_desktop.domain.caller import Caller, Unknown
from ztmcp_desktop.domain.client import Login, Registration, Right, Rights, read_scope
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway.oauth.codes import CHALLENGE, Codes, Permit
from ztmcp_desktop.gateway.oauth.metadata import issuer_of, server_of
from ztmcp_desktop.gateway.oauth.parameters import OAuthError, Parameters, with_parameters
from ztmcp_desktop.gateway.oauth.redirects import allowed, is_loopback
from ztmcp_desktop.gateway.oauth.registry import Registry
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.ports import ClientBook, Clock, Doorkeeper, ServerBook

MAX_OPEN = 16
MAX_OPEN_A_CLIENT = 2
LOOK_S = 20.0
"""How long a browser that looks is kept before it is told to look again."""
LEFT_S = 60.0
"""How long nobody may look before the question is withdrawn, or its answer forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that may be put to the person. `host` is the address of ours that the browser used."""

    host: str
    registration: Registration
    redirect_uri: str
    state: str | None
    server: ServerName
    rights: Rights
    challenge: str

    def answer(self, **parameters: str | None) -> str:
        """Where the browser goes with this answer; `iss` says whose it is (RFC 9207)."""
        return with_parameters(self.redirect_uri, **parameters, state=self.state, iss=issuer_of(self.host))


class RedirectedError(OAuthError):
    """A refusal that goes to the client, by the browser."""

    def __init__(self, address: str, cause: OAuthError) -> None:
        super().__init__(cause.error, cause.reason, code=cause.code)
        self.address = address


@dataclass(slots=True)
class _Open:
    asked: Asked
    task: asyncio.Task[str]
    looked_s: float
    looking: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizingParts:
    """What authorization stands on."""

    registry: Registry
    clients: ClientBook
    servers: ServerBook
    doorkeeper: Doorkeeper
    peers: Peers
    codes: Codes
    clock: Clock
    port: int


class Authorizing:
    """The authorization requests that wait for the person, each under a ticket that only its browser knows."""

    def __init__(self, parts: AuthorizingParts) -> None:
        self._parts = parts
        self._open: dict[str, _Open] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def read(self, parameters: Parameters, host: str) -> Asked:
        """The request, checked (OAuth 2.1, 4.1.1).

        Raises:
            RedirectedError: it is refused, and the client may be told so.
            OAuthError: it has no address that an answer may go to.
        """
        registration = await self._parts.registry.find(parameters.need("client_id"))
        redirect_uri = parameters.need("redirect_uri")
        if not allowed(registration.redirect_uris, redirect_uri):
            raise OAuthError("invalid_request", "the redirect URI is none that this client registered")
        if is_loopback(redirect_uri) and urlsplit(redirect_uri).port == self._parts.port:
            # Each answer would be the next request, and the person asked without end.
            raise OAuthError("invalid_request", "the redirect URI leads to this gateway itself")
        state = parameters.get("state")
        try:
            return self._checked(parameters, host, registration, redirect_uri, state)
        except OAuthError as error:
            address = with_parameters(
                redirect_uri, error=error.error, error_description=error.reason, state=state, iss=issuer_of(host)
            )
            raise RedirectedError(address, error) from None

    def _checked(
        self, parameters: Parameters, host: str, registration: Registration, redirect_uri: str, state: str | None
    ) -> Asked:
        if parameters.need("response_type") != "code":
            raise OAuthError("unsupported_response_type", "only codes are given")
        if parameters.get("response_mode") not in {None, "query"}:
            raise OAuthError("invalid_request", "answers are given in the query only")
        challenge = parameters.get("code_challenge") or ""
        if parameters.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge):
            raise OAuthError("invalid_request", "a code challenge of the method S256 is needed")
        server = self._server(parameters.get("resource"))
        return Asked(
            host=host,
            registration=registration,
            redirect_uri=redirect_uri,
            state=state,
            server=server,
            rights=_rights(parameters.get("scope") or "", server),
            challenge=challenge,
        )

    def _server(self, untrusted_resource: str | None) -> ServerName:
        server = server_of(untrusted_resource, self._parts.port) if untrusted_resource else None
        if server is None:
            raise OAuthError("invalid_target", "the resource must be one of this gateway's endpoints")
        try:
            return self._parts.servers.get(server).name
        except Denial:
            raise OAuthError("invalid_target", f"there is no server {server} here") from None

    def begin(self, asked: Asked) -> str:
        """Put the request to the person; gives the ticket to look with. The same request again has the same one.

        Raises:
            RedirectedError: too many are open.
        """
        own = {key: one for key, one in self._open.items() if one.asked.registration.id == asked.registration.id}
        # Some clients look at the address themselves before they open the browser there; nobody is asked twice.
        same = next((key for key, one in own.items() if one.asked == asked), None)
        if same is not None:
            return same
        if len(own) >= MAX_OPEN_A_CLIENT or len(self._open) >= MAX_OPEN:
            full = OAuthError("temporarily_unavailable", "too many logins wait for the person already")
            raise RedirectedError(asked.answer(error=full.error, error_description=full.reason), full)
        ticket = secrets.token_urlsafe(32)
        task = asyncio.create_task(self._decide(asked))
        self._open[ticket] = _Open(asked, task, self._parts.clock.monotonic())
        watch = asyncio.create_task(self._watch(ticket))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return ticket

    async def look(self, untrusted_ticket: str, *, patient: bool) -> str | None:
        """Where the browser is to go, None while the person has not answered; `patient` waits a while for it.

        An answer is given once. Raises `OAuthError` where nothing is open under this ticket.
        """
        found = self._open.get(untrusted_ticket)
        if found is None:
            raise OAuthError("invalid_request", "this login is over", status=404)
        found.looking += 1
        try:
            await asyncio.wait({found.task}, timeout=LOOK_S if patient else 0)
        finally:
            found.looking -= 1
            found.looked_s = self._parts.clock.monotonic()
        if not found.task.done():
            return None
        self._open.pop(untrusted_ticket, None)
        return found.task.result()

    async def stop(self) -> None:
        """Withdraw every question."""
        tasks = [*(found.task for found in self._open.values()), *self._watches]
        self._open.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, ticket: str) -> None:
        """Forget a request whose browser has gone away, and withdraw its question."""
        while (found := self._open.get(ticket)) is not None:
            left_s = found.looked_s + LEFT_S - self._parts.clock.monotonic()
            if found.looking or left_s > 0:
                await self._parts.clock.sleep(LEFT_S if found.looking else left_s)
                continue
            self._open.pop(ticket, None)
            found.task.cancel()

    async def _decide(self, asked: Asked) -> str:
        known = self._parts.clients.registered(asked.registration.id)
        login = Login(
            registration=asked.registration,
            server=asked.server,
            rights=asked.rights,
            redirect_uri=asked.redirect_uri,
            receiver=await self._receiver(asked.redirect_uri),
            known_as=known.name if known else None,
        )
        try:
            yes = await self._parts.doorkeeper.let_in(login)
        except Denial as denial:
            error = "server_error" if denial.code is Code.GATEWAY_FAULT else "access_denied"
            return asked.answer(error=error, error_description=denial.reason)
        permit = Permit(
            client=yes.client.name,
            client_id=asked.registration.id,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            server=asked.server,
            rights=asked.rights,
            expires=yes.expires,
        )
        return asked.answer(code=self._parts.codes.issue(permit))

    async def _receiver(self, redirect_uri: str) -> Caller:
        """The program that listens where the answer will go, as the system says."""
        parts = urlsplit(redirect_uri)
        if not is_loopback(redirect_uri):
            return Unknown(why="the answer leaves this computer")
        return await self._parts.peers.listener(parts.hostname or "", parts.port or 80)


def _rights(untrusted_scope: str, server: ServerName) -> Rights:
    """What is asked for at `server`; the smallest where nothing of ours is named. Scopes of others are not given."""
    asked = [found for found in map(read_scope, untrusted_scope.split(" ")) if found is not None]
    if any(name != server for name, _ in asked):
        raise OAuthError("invalid_scope", f"a scope is not of the server {server}, which the resource names")
    return frozenset(right for _, right in asked) or frozenset({Right.READ})
