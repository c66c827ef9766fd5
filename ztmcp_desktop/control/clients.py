"""Clients: a name, what it may do at named servers, an end; and the time in which programs may register."""

from dataclasses import dataclass

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs, wrong
from ztmcp_desktop.domain.client import Client, Right, Rights, Seen
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.client_record import rights_json
from ztmcp_desktop.gateway.oauth.pairing import DEFAULT_PAIRING_S, MAX_PAIRING_S

DEFAULT_LIFE_S = 90 * 86_400.0
MAX_LIFE_S = 366 * 86_400.0


def endpoint_url(port: int, server: str) -> str:
    """Where a client reaches `server` (contract, Network)."""
    return f"http://127.0.0.1:{port}/s/{server}/mcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A client that is to be added; `program` is empty for one with a token."""

    name: ClientName
    servers: tuple[ServerName, ...]
    life_s: float
    rights: Rights
    program: str


class Clients:
    """The verbs `client.list`, `client.add`, `client.revoke`, `client.pair` and `client.pairing`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts

    def verbs(self) -> Verbs:
        return {
            "client.list": Verb(do=self.list),
            "client.add": Verb(do=self.add, proposes=self._adding),
            "client.revoke": Verb(do=self.revoke),
            "client.pair": Verb(do=self.pair, proposes=self._pairing),
            "client.pairing": Verb(do=self.pairing),
        }

    async def list(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {"clients": [self._client(client) for client in self._parts.clients.all()]}

    async def add(self, untrusted: JsonObject) -> JsonObject:
        wanted = self._wanted(untrusted)
        name, servers = wanted.name, wanted.servers
        token = self._parts.clients.add(name, servers, wanted.life_s, wanted.rights, bridge=wanted.program)
        made = next(client for client in self._parts.clients.all() if client.name == name)
        expires, program = made.expires.isoformat(), wanted.program
        try:
            body: JsonObject = {"servers": list(servers), "rights": rights_json(wanted.rights), "expires": expires}
            await self._record(name, "add", {**body, "program": program} if program else body)
        except Denial:
            self._parts.clients.revoke(name)
            raise
        if program:
            return {"client": name, "program": program, "expires": expires, "servers": list(servers)}
        port = self._parts.front.port or self._parts.configuration.settings.port
        return {
            "client": name,
            "token": token.open(),
            "expires": expires,
            "endpoints": {server: endpoint_url(port, server) for server in servers},
        }

    async def revoke(self, untrusted: JsonObject) -> JsonObject:
        name = ClientName(Arguments.of(untrusted, "name").name())
        if not self._parts.clients.revoke(name):
            raise Denial(Code.NOT_PERMITTED, f"there is no client {name}; see: ztmcp client list")
        # Before anything that may take its time: whoever gets this name next has nobody's consent.
        try:
            self._parts.logins.forget_client(name)
        finally:
            await self._parts.flight.abort(lambda call: call.principal.client == name)
            await self._parts.upstreams.stop(client=name)
        await self._record(name, "revoke", {})
        return {"name": name}

    async def pair(self, untrusted: JsonObject) -> JsonObject:
        """Lets programs register for `for_s` seconds; 0 ends that."""
        for_s = self._pair_s(untrusted)
        if self._parts.front.port is None:
            raise Denial(Code.NOT_PERMITTED, "no gateway is running that a program could register at; start it first")
        await self._parts.ledger.append(Draft(kind=EntryKind.CLIENT, method="pair", body={"seconds": for_s}))
        if for_s > 0:
            self._parts.pairing.open(for_s)
        else:
            self._parts.pairing.close()
        return self._pairing_left()

    async def pairing(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return self._pairing_left()

    def _pairing_left(self) -> JsonObject:
        return {"left_s": round(self._parts.pairing.left_s)}

    def _pair_s(self, untrusted: JsonObject) -> float:
        for_s = Arguments.of(untrusted, "for_s").number("for_s", DEFAULT_PAIRING_S)
        if not 0 <= for_s <= MAX_PAIRING_S:
            wrong(f"programs may register for at most {MAX_PAIRING_S / 60:g} minutes")
        return for_s

    async def _pairing(self, untrusted: JsonObject) -> Widening | None:
        for_s = self._pair_s(untrusted)
        if for_s <= self._parts.pairing.left_s:
            return None
        return Widening(
            title="Let programs register as clients",
            sentence="A program that registers may ask to log in; you are asked about each login.",
            facts=(("For", f"{for_s / 60:g} minutes"),),
        )

    async def _adding(self, untrusted: JsonObject) -> Widening:
        wanted = self._wanted(untrusted)
        name, servers, program = wanted.name, ", ".join(wanted.servers), wanted.program
        if any(client.name == name for client in self._parts.clients.all()):
            raise Denial(Code.NOT_PERMITTED, f"there is a client {name} already")
        life, who = (
            f"{wanted.life_s / 86_400:g} days",
            f"A program that holds its token may {_verb(wanted.rights)} {servers}.",
        )
        if program:
            who = f"This program may {_verb(wanted.rights)} {servers} over the bridge, without a token."
        facts = [("Client", name), ("Servers", "\n".join(wanted.servers)), ("For" if program else "Token lives", life)]
        if program:
            facts.insert(1, ("Program", program))
        return Widening(title=f"Add the client {name}", sentence=who, facts=tuple(facts))

    def _wanted(self, untrusted: JsonObject) -> _Wanted:
        arguments = Arguments.of(untrusted, "name", "servers", "expires_s", "program", "rights")
        program = arguments.text("program", "")
        if program and not program.startswith("/"):
            wrong("a program is named by its whole path, with its script behind a blank if it has one")
        life_s = arguments.number("expires_s", DEFAULT_LIFE_S)
        if not 1 <= life_s <= MAX_LIFE_S:
            wrong(f"a token lives from one second to {MAX_LIFE_S / 86_400:g} days")
        named = arguments.texts("rights") if "rights" in untrusted else tuple(Right)
        if not named or not set(named) <= set(Right):
            wrong(f"rights are {' and '.join(Right)}")
        return _Wanted(
            name=ClientName(arguments.name()),
            servers=self._servers(arguments.texts("servers")),
            life_s=life_s,
            rights=frozenset(Right(right) for right in named),
            program=program,
        )

    def _servers(self, untrusted_names: tuple[str, ...]) -> tuple[ServerName, ...]:
        """Those named, each of which must exist; without a name, all that are approved at this moment."""
        named = tuple(dict.fromkeys(self._parts.configuration.get(ServerName(name)).name for name in untrusted_names))
        if named:
            return named
        servers = (server.name for server in self._parts.configuration.all())
        approved = tuple(name for name in servers if self._parts.catalogue.approval(name) == "approved")
        if not approved:
            raise Denial(Code.NOT_PERMITTED, "no server is approved yet; approve one first, or name one with --server")
        return approved

    def _client(self, client: Client) -> JsonObject:
        registration = client.registration
        logins = [login for login in self._parts.client_logins.all() if login.client == client.name]
        # A client that logs in is good for as long as its logins are.
        expires = max((login.expires for login in logins), default=client.created) if registration else client.expires
        return {
            "name": client.name,
            "kind": _kind(client),
            "calls_itself": registration.claimed_name if registration else None,
            "registered_by": registration.program if registration else "",
            "servers": list(client.servers),
            "may": {server: rights_json(rights) for server, rights in client.rights},
            "logins": [
                {
                    "server": login.server,
                    "may": rights_json(login.rights),
                    "since": login.created.isoformat(),
                    "expires": login.expires.isoformat(),
                }
                for login in logins
            ],
            "created": client.created.isoformat(),
            "expires": expires.isoformat(),
            "live": expires > self._parts.clock.now(),
            "last_seen_at": client.last_at.isoformat() if client.last_at else None,
            "program": client.bridge,
            "first_seen": _seen(client.seen[0]) if client.seen else None,
            "last_seen": client.last.as_json() if client.last else None,
            "others_seen": [_seen(seen) for seen in client.seen[1:]],
        }

    async def _record(self, name: ClientName, what: str, body: JsonObject) -> None:
        await self._parts.ledger.append(Draft(kind=EntryKind.CLIENT, client=name, method=what, subject=name, body=body))


def _kind(client: Client) -> str:
    """How the client comes: `bridge`, `token`, `registered` or `document`."""
    if client.registration is not None:
        return client.registration.introduction.value
    return "bridge" if client.bridge else "token"


def _verb(rights: Rights) -> str:
    return "call" if Right.CALL in rights else "look at, but not call,"


def _seen(seen: Seen) -> JsonObject:
    return {**seen.program.as_json(), "since": seen.since.isoformat(), "accepted": seen.accepted}
