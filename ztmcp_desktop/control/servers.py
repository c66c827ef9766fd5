"""Servers: proposed, approved in two steps, shown, restarted, removed."""

from ztmcp_desktop.control.approvals import Approvals
from ztmcp_desktop.control.last_words import LastWords
from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.secrets import SecretNames
from ztmcp_desktop.control.server_terms import offer_json, proposed_server, runtime_json, terms_facts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.gateway.pins import describe

STOP_S = 10.0


class Servers:
    """The verbs `server.…` but those of approval."""

    def __init__(self, parts: PlaneParts, secret_names: SecretNames, approvals: Approvals) -> None:
        self._parts = parts
        self._secret_names = secret_names
        self._approvals = approvals

    def verbs(self) -> Verbs:
        return {
            "server.list": Verb(do=self.list),
            "server.show": Verb(do=self.show),
            "server.add": Verb(do=self.add, proposes=self._adding),
            "server.remove": Verb(do=self.remove, patience_s=STOP_S),
            "server.restart": Verb(do=self.restart, patience_s=STOP_S),
            "server.log": Verb(do=self.log),
        }

    async def list(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {"servers": [self._row(server) for server in self._parts.configuration.all()]}

    async def show(self, untrusted: JsonObject) -> JsonObject:
        server = self._named(untrusted)
        changes = self._parts.catalogue.changes(server.name)
        return {
            **self._row(server),
            "terms": server.terms(),
            "runtime": runtime_json(self._runtime(server)),
            "offer": self._offer(server),
            "changes": [line for change in changes for line in describe(change)],
        }

    async def add(self, untrusted: JsonObject) -> JsonObject:
        server = self._proposed(untrusted)
        self._parts.configuration.add(server)
        await self._record(server.name, "add", server.terms())
        return {"name": server.name, "approval": "proposed", "warnings": list(self._warnings(server))}

    async def remove(self, untrusted: JsonObject) -> JsonObject:
        name = self._named(untrusted).name
        self._parts.configuration.remove(name)
        self._parts.catalogue.forget(name)
        self._approvals.forget(name)
        await self._parts.flight.abort(lambda call: call.server == name)
        try:
            await self._parts.logins.log_out(name)
        finally:
            await self._parts.upstreams.stop(server=name)
        await self._record(name, "remove", {})
        return {"name": name}

    async def restart(self, untrusted: JsonObject) -> JsonObject:
        name = self._named(untrusted).name
        await self._parts.upstreams.stop(server=name)
        await self._record(name, "restart", {})
        return {"name": name}

    async def log(self, untrusted: JsonObject) -> JsonObject:
        name = self._named(untrusted).name
        return {"lines": list(self._parts.upstreams.log(name)) or LastWords(self._parts).of(name)}

    async def _adding(self, untrusted: JsonObject) -> Widening:
        server = self._proposed(untrusted)
        return Widening(
            title=f"Add the server {server.name}",
            sentence="It is written down. It runs only after you have approved its command and what it offers.",
            facts=terms_facts(server, None),
            warnings=self._warnings(server),
        )

    def _proposed(self, untrusted: JsonObject) -> Server:
        server = proposed_server(untrusted, self._parts.home.folders(), self._parts.user_home)
        if any(known.name == server.name for known in self._parts.configuration.all()):
            raise Denial(Code.NOT_PERMITTED, f"there is a server {server.name} already; remove it first")
        return server

    def _named(self, untrusted: JsonObject) -> Server:
        return self._parts.configuration.get(ServerName(Arguments.of(untrusted, "name").name()))

    def _row(self, server: Server) -> JsonObject:
        match server.endpoint:
            case LocalCommand(argv=argv, env=env, secret_env=secrets):
                where: JsonObject = {"kind": "local", "command": list(argv), "url": None, "env": dict(env)}
            case RemoteUrl(url=url, secret_headers=secrets):
                where = {"kind": "remote", "command": None, "url": url, "env": {}}
        clients = self._parts.clients.all()
        return {
            "name": server.name,
            **where,
            "approval": self._parts.catalogue.approval(server.name),
            "running": any(self._parts.upstreams.running(client.name, server.name) for client in clients),
            "folders": [[str(folder.path), folder.access.value] for folder in server.limits.folders],
            "secrets": [[key, name] for key, name in secrets] + [["argument", n] for n in server.argument_secrets],
            "mask_results": server.mask_results,
            "login": self._parts.logins.shown(server),
            "warnings": list(self._warnings(server)),
        }

    def _warnings(self, server: Server) -> tuple[str, ...]:
        known = self._secret_names.all()
        missing = [name for name in server.secret_names() if name not in known]
        found = [f"There is no secret {name} yet; set it with: ztmcp secret set {name}" for name in missing]
        if isinstance(server.endpoint, RemoteUrl) and server.endpoint.url.startswith("http://"):
            found.append("The address is not encrypted: whoever is on the way can read and alter everything.")
        if not server.mask_results:
            found.append("Personal data in its answers is not masked.")
        return tuple(found)

    def _runtime(self, server: Server) -> Runtime | None:
        if not isinstance(server.endpoint, LocalCommand):
            return None
        try:
            return self._parts.catalogue.runtime(server.name)
        except Denial:
            return None

    def _offer(self, server: Server) -> JsonObject | None:
        try:
            return offer_json(self._parts.catalogue.offer(server.name))
        except Denial:
            return None

    async def _record(self, name: ServerName, what: str, body: JsonObject) -> None:
        masked = self._parts.redact(body)
        await self._parts.ledger.append(
            Draft(kind=EntryKind.SERVER, server=name, method=what, subject=name, body=masked)
        )
