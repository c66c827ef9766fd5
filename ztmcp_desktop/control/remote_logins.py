"""Logins at remote servers: shown with their scopes, begun with a yes, waited for, and forgotten."""

from dataclasses import dataclass

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs, wrong
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, Digest, SecretName, ServerName, is_secret_name
from ztmcp_desktop.domain.server import Server
from ztmcp_desktop.gateway.challenge import read_scopes
from ztmcp_desktop.gateway.login.held import Flow
from ztmcp_desktop.gateway.login.plan import Plan
from ztmcp_desktop.gateway.login.registration import MAX_ID_CHARS, Choice
from ztmcp_desktop.gateway.login.words import login_words

# Up to five documents are fetched, each within 10 s.
LOOK_S = 60.0
BEGIN_S = 30.0
# The browser has five minutes.
WAIT_S = 310.0
KEYCHAIN_S = 20.0
CHOICES = ("client_id", "client_secret", "client_key", "client_credentials", "scopes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A login as it was shown, waiting for its yes."""

    plan: Plan
    clients: tuple[ClientName, ...]
    words: Widening
    digest: Digest


class RemoteLogins:
    """The verbs `server.login-terms`, `server.login`, `server.login-wait` and `server.logout`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts
        self._shown: dict[ServerName, _Shown] = {}

    def verbs(self) -> Verbs:
        return {
            "server.login-terms": Verb(do=self.terms, patience_s=LOOK_S),
            "server.login": Verb(do=self.login, proposes=self._logging_in, patience_s=BEGIN_S),
            "server.login-wait": Verb(do=self.wait, patience_s=WAIT_S),
            "server.logout": Verb(do=self.logout, patience_s=KEYCHAIN_S),
        }

    async def terms(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "name", "clients", *CHOICES)
        server, clients = self._server(arguments), self._clients(arguments)
        plan = await self._parts.logins.plan(server, _choice(arguments))
        words = login_words(plan, clients)
        shown = [words.title, words.sentence, [list(fact) for fact in words.facts], list(words.warnings)]
        digest = self._parts.digester.of("shown login", shown)
        self._shown[server.name] = _Shown(plan=plan, clients=clients, words=words, digest=digest)
        return {
            "sentence": words.sentence,
            "facts": [list(fact) for fact in words.facts],
            "warnings": list(words.warnings),
            "digest": digest,
        }

    async def login(self, untrusted: JsonObject) -> JsonObject:
        """Begin; `page` is for the person to open where no window does that, and empty where none is needed."""
        shown = self._waiting(untrusted)
        del self._shown[shown.plan.server]
        pending = await self._parts.logins.begin(shown.plan, shown.clients)
        front = self._parts.front
        if pending.page and front.screen and front.open_page is not None:
            front.open_page(pending.page)
            return {"page": "", "opened": True}
        return {"page": pending.page, "opened": False}

    async def wait(self, untrusted: JsonObject) -> JsonObject:
        server = self._server(Arguments.of(untrusted, "name"))
        pending = self._parts.logins.attempts.latest(server.name)
        if pending is not None:
            await pending.finished()
        login = self._parts.logins.shown(server)
        if login is None:
            raise Denial(Code.NOT_PERMITTED, f"there is no login at {server.name}; the record says what became of it")
        return {"name": server.name, "login": login}

    async def logout(self, untrusted: JsonObject) -> JsonObject:
        name = self._server(Arguments.of(untrusted, "name")).name
        self._shown.pop(name, None)
        if not await self._parts.logins.log_out(name):
            raise Denial(Code.NOT_PERMITTED, f"there is no login at {name}")
        await self._parts.upstreams.stop(server=name)
        return {"name": name}

    async def _logging_in(self, untrusted: JsonObject) -> Widening:
        return self._waiting(untrusted).words

    def _waiting(self, untrusted: JsonObject) -> _Shown:
        arguments = Arguments.of(untrusted, "name", "digest")
        server = self._server(arguments)
        shown = self._shown.get(server.name)
        url = getattr(server.endpoint, "url", "")
        if shown is None or shown.digest != arguments.text("digest") or shown.plan.url != url:
            raise Denial(
                Code.CHANGED_SINCE_APPROVAL, f"this login at {server.name} was not shown, or has changed; begin again"
            )
        return shown

    def _server(self, arguments: Arguments) -> Server:
        return self._parts.configuration.get(ServerName(arguments.name()))

    def _clients(self, arguments: Arguments) -> tuple[ClientName, ...]:
        known = {client.name for client in self._parts.clients.all()}
        for name in (named := arguments.texts("clients")):
            if name not in known:
                raise Denial(Code.NOT_PERMITTED, f"there is no client {name[:64]!r}; see: ztmcp client list")
        return tuple(ClientName(name) for name in named)


def _choice(arguments: Arguments) -> Choice:
    client_id, secret, key = (arguments.text(name, "") for name in CHOICES[:3])
    itself = arguments.untrusted.get("client_credentials", False)
    scopes = arguments.texts("scopes")
    if len(client_id) > MAX_ID_CHARS or not client_id.isprintable():
        wrong("the client id must be printable")
    if (secret and key) or ((secret or key) and not client_id):
        wrong("a client secret or key belongs to a client id, and there is one of them at most")
    if any(name and not is_secret_name(name) for name in (secret, key)):
        wrong("a client secret or key is named, and stored with: ztmcp secret set NAME")
    if not isinstance(itself, bool) or (itself and not (secret or key)):
        wrong("client credentials are a client id with a secret or a key")
    if read_scopes(list(scopes)) != scopes:
        wrong("a scope has no blanks and is named once")
    return Choice(
        client_id=client_id,
        secret=SecretName(secret or key) if secret or key else None,
        key=bool(key),
        flow=Flow.CLIENT if itself else Flow.PERSON,
        scopes=scopes,
    )
