"""Clients: a name, a token for named servers, an end."""

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs, wrong
from ztmcp_desktop.domain.client import Client, Seen
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ClientName, ServerName

DEFAULT_LIFE_S = 90 * 86_400.0
MAX_LIFE_S = 366 * 86_400.0


def endpoint_url(port: int, server: str) -> str:
    """Where a client reaches `server` (contract, Network)."""
    return f"http://127.0.0.1:{port}/s/{server}/mcp"


class Clients:
    """The verbs `client.list`, `client.add` and `client.revoke`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts

    def verbs(self) -> Verbs:
        return {
            "client.list": Verb(do=self.list),
            "client.add": Verb(do=self.add, proposes=self._adding),
            "client.revoke": Verb(do=self.revoke),
        }

    async def list(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {"clients": [self._client(client) for client in self._parts.clients.all()]}

    async def add(self, untrusted: JsonObject) -> JsonObject:
        name, servers, life_s, program = self._wanted(untrusted)
        token = self._parts.clients.add(name, servers, life_s, bridge=program)
        made = next(client for client in self._parts.clients.all() if client.name == name)
        expires = made.expires.isoformat()
        try:
            body = {"servers": list(servers), "expires": expires}
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
        await self._parts.flight.abort(lambda call: call.principal.client == name)
        await self._parts.upstreams.stop(client=name)
        self._parts.logins.forget_client(name)
        await self._record(name, "revoke", {})
        return {"name": name}

    async def _adding(self, untrusted: JsonObject) -> Widening:
        name, servers, life_s, program = self._wanted(untrusted)
        if any(client.name == name for client in self._parts.clients.all()):
            raise Denial(Code.NOT_PERMITTED, f"there is a client {name} already")
        life, who = f"{life_s / 86_400:g} days", f"A program that holds its token may call {', '.join(servers)}."
        if program:
            who = f"This program may call {', '.join(servers)} over the bridge, without a token."
        facts = [("Client", name), ("Servers", "\n".join(servers)), ("For" if program else "Token lives", life)]
        if program:
            facts.insert(1, ("Program", program))
        return Widening(title=f"Add the client {name}", sentence=who, facts=tuple(facts))

    def _wanted(self, untrusted: JsonObject) -> tuple[ClientName, tuple[ServerName, ...], float, str]:
        arguments = Arguments.of(untrusted, "name", "servers", "expires_s", "program")
        program = arguments.text("program", "")
        if program and not program.startswith("/"):
            wrong("a program is named by its whole path, with its script behind a blank if it has one")
        life_s = arguments.number("expires_s", DEFAULT_LIFE_S)
        if not 1 <= life_s <= MAX_LIFE_S:
            wrong(f"a token lives from one second to {MAX_LIFE_S / 86_400:g} days")
        return ClientName(arguments.name()), self._servers(arguments.texts("servers")), life_s, program

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
        return {
            "name": client.name,
            "servers": list(client.servers),
            "created": client.created.isoformat(),
            "expires": client.expires.isoformat(),
            "live": client.expires > self._parts.clock.now(),
            "program": client.bridge,
            "first_seen": _seen(client.seen[0]) if client.seen else None,
            "last_seen": client.last.as_json() if client.last else None,
            "others_seen": [_seen(seen) for seen in client.seen[1:]],
        }

    async def _record(self, name: ClientName, what: str, body: JsonObject) -> None:
        await self._parts.ledger.append(Draft(kind=EntryKind.CLIENT, client=name, method=what, subject=name, body=body))


def _seen(seen: Seen) -> JsonObject:
    return {**seen.program.as_json(), "since": seen.since.isoformat(), "accepted": seen.accepted}
