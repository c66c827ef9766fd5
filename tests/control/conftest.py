"""A plane over real rooms; only the keychain, the ledger, the sandbox and the servers behind it are stand-ins."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes import FakeClock, FakeDesk, FakeLedger, FakeStateStore, FakeUpstreams, FakeVault, make_digester
from ztmcp_desktop.control.configuration import Configuration
from ztmcp_desktop.control.lock import StoredLockdown
from ztmcp_desktop.control.pairing import Pairing
from ztmcp_desktop.control.parts import Front, PlaneParts
from ztmcp_desktop.control.plane import Outside, Plane
from ztmcp_desktop.control.proposals import Proposals
from ztmcp_desktop.control.resources import resource_text
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import ItemKind, Offer
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import SandboxReport
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.gateway.catalogue import PinnedCatalogue
from ztmcp_desktop.gateway.clients import Clients
from ztmcp_desktop.gateway.http_client import AiohttpClient
from ztmcp_desktop.gateway.login.logins import Logins
from ztmcp_desktop.gateway.login.parts import LoginParts
from ztmcp_desktop.gateway.oauth.pairing import PairingTime
from ztmcp_desktop.gateway.sessions import Sessions
from ztmcp_desktop.policy.grants import Grants
from ztmcp_desktop.policy.rules import Rules
from ztmcp_desktop.scan.redact import redact
from ztmcp_desktop.settings import Home

OFFER = Offer(
    legacy={"protocolVersion": "2025-11-25", "instructions": "Be kind."},
    items={ItemKind.TOOL: ({"name": "read_file", "description": "Reads.", "inputSchema": {"type": "object"}},)},
)


class Servers(FakeUpstreams):
    """Servers that offer `offered`, or do not answer when that is None."""

    def __init__(self) -> None:
        super().__init__()
        self.offered: Offer | None = OFFER
        self.said: tuple[str, ...] = ("started",)
        self.probed: list[Server] = []
        self.stopped: list[tuple[str | None, str | None]] = []

    async def probe(self, server: Server, runtime: Runtime | None) -> Offer:
        self.probed.append(server)
        if self.offered is None:
            raise Denial(Code.SERVER_UNAVAILABLE, "it does not answer")
        return self.offered

    async def stop(self, server: ServerName | None = None, client: ClientName | None = None) -> None:
        self.stopped.append((server, client))

    def log(self, server: ServerName) -> tuple[str, ...]:
        return self.said


class Programs:
    """Every command is run as it is written, after `/usr/bin/`."""

    def __init__(self) -> None:
        self.folder = "/usr/bin"
        self.installed: tuple[str, ...] = ()

    async def resolve(self, server: Server, install: bool) -> Runtime:
        assert isinstance(server.endpoint, LocalCommand)
        first, *others = server.endpoint.argv
        return Runtime(argv=(f"{self.folder}/{first}", *others), installed=self.installed)


class Confining:
    def report(self) -> SandboxReport:
        return SandboxReport(name="stand-in", works=True)


class Flight:
    def __init__(self) -> None:
        self.aborted: list[Callable[[Call], bool]] = []

    def in_flight(self) -> int:
        return 0

    async def abort(self, which: Callable[[Call], bool]) -> None:
        self.aborted.append(which)


@dataclass
class Room:
    """The plane and all that it works on."""

    base: Path
    ledger: FakeLedger = field(default_factory=FakeLedger)
    state: FakeStateStore = field(default_factory=FakeStateStore)
    vault: FakeVault = field(default_factory=FakeVault)
    upstreams: Servers = field(default_factory=Servers)
    programs: Programs = field(default_factory=Programs)
    flight: Flight = field(default_factory=Flight)
    desk: FakeDesk = field(default_factory=FakeDesk)
    clock: FakeClock = field(default_factory=FakeClock)
    front: Front = field(default_factory=Front)

    def __post_init__(self) -> None:
        base = self.base
        self.home = Home(
            config=base / "config", data=base / "data", state=base / "state", run=base / "run", logs=base / "logs"
        )
        for folder in (*self.home.folders(), self.home.rules):
            folder.mkdir(mode=0o700, parents=True)
        self.configuration = Configuration(self.home.config_file)
        self.digester = make_digester()
        self.catalogue = PinnedCatalogue(self.state, self.configuration, self.digester)
        self.clients = Clients(self.state, self.clock, Sessions(self.clock, 1800.0))
        self.rules = Rules(
            self.home.rules,
            resource_text("policy/default.cedar"),
            self.state,
            resource_text("policy/schema.cedarschema"),
        )
        self.lockdown = StoredLockdown(self.state)
        self.proposals = proposals = Proposals(self.desk, self.digester, self.clock, 60.0)
        self.http = AiohttpClient()
        self.logins = Logins(
            LoginParts(
                http=self.http,
                vault=self.vault,
                state=self.state,
                clock=self.clock,
                ledger=self.ledger,
                word=proposals,
                lockdown=self.lockdown,
                redact=redact,
                page=lambda: self.front.open_page,
            )
        )
        parts = PlaneParts(
            home=self.home,
            user_home=base / "user",
            configuration=self.configuration,
            catalogue=self.catalogue,
            clients=self.clients,
            client_logins=self.clients.logins,
            pairing=PairingTime(self.clock),
            grants=Grants(self.clock),
            rules=self.rules,
            vault=self.vault,
            state=self.state,
            ledger=self.ledger,
            timeline=None,  # type: ignore[arg-type]
            upstreams=self.upstreams,
            logins=self.logins,
            sandbox=Confining(),  # type: ignore[arg-type]
            runtimes=self.programs,
            flight=self.flight,
            digester=self.digester,
            clock=self.clock,
            front=self.front,
            redact=redact,
            prune=self._prune,
        )
        self.plane = Plane(parts, self.lockdown)
        self.outside, self.pairing = Outside(self.plane, parts, proposals), Pairing(parts, proposals, self.lockdown)

    async def _prune(self, before: datetime) -> int:
        return 0

    def kinds(self) -> list[str]:
        """What was written to the ledger: kind and method of each row."""
        return [f"{row.kind.value} {row.method or row.subject}" for row in self.ledger.rows]

    async def add_server(self, name: str = "files", **arguments: object) -> None:
        await self.plane.ask("server.add", {"name": name, "argv": ["node", "index.js"], **arguments})

    async def approve(self, name: str = "files") -> None:
        terms = await self.plane.ask("server.terms", {"name": name})
        seen = await self.plane.ask("server.approve-command", {"name": name, "digest": terms["digest"]})
        await self.plane.ask("server.approve-offer", {"name": name, "digest": seen["digest"]})


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)
