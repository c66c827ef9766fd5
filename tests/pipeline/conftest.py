"""The parts that the stages' tests share."""

from dataclasses import dataclass, field

import pytest

from tests.fakes import (
    FakeClock,
    FakeDesk,
    FakeGrants,
    FakeLedger,
    FakeUpstreams,
    FakeVault,
    identified,
    make_call,
    make_digester,
)
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.caller import Caller
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.proof import Asking, Classified, Confined, Judged, MaskedArguments
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.consent import Consent, ConsentParts
from ztmcp_desktop.scan.redact import redact
from ztmcp_desktop.settings import Settings


class FakeServers:
    def __init__(self, *servers: Server) -> None:
        self.servers = {server.name: server for server in servers}

    def get(self, name: ServerName) -> Server:
        if name not in self.servers:
            raise Denial(Code.NOT_PERMITTED, "no such server")
        return self.servers[name]

    def all(self) -> tuple[Server, ...]:
        return tuple(self.servers.values())


class FakeLock:
    locked = False


class Acquaintances:
    """The one thing that consent asks of the client book: that a program was accepted."""

    def __init__(self) -> None:
        self.accepted: list[Caller] = []

    def accept(self, principal: Principal, caller: Caller) -> None:
        self.accepted.append(caller)


@dataclass
class World:
    """Everything around the stages, honest and in memory."""

    server: Server = field(
        default_factory=lambda: Server(name=ServerName("files"), endpoint=LocalCommand(argv=("files",)))
    )
    desk: FakeDesk = field(default_factory=FakeDesk)
    grants: FakeGrants = field(default_factory=FakeGrants)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    upstreams: FakeUpstreams = field(default_factory=FakeUpstreams)
    vault: FakeVault = field(default_factory=FakeVault)
    clock: FakeClock = field(default_factory=FakeClock)
    lockdown: FakeLock = field(default_factory=FakeLock)
    digester: Digester = field(default_factory=make_digester)
    settings: Settings = field(default_factory=Settings)
    clients: Acquaintances = field(default_factory=Acquaintances)

    def __post_init__(self) -> None:
        self.servers = FakeServers(self.server)

    def consent(self) -> Consent:
        return Consent(
            ConsentParts(
                desk=self.desk,
                grants=self.grants,
                servers=self.servers,
                upstreams=self.upstreams,  # type: ignore[arg-type]
                clients=self.clients,  # type: ignore[arg-type]
                ledger=self.ledger,
                lockdown=self.lockdown,
                digester=self.digester,
                clock=self.clock,
                redact=redact,
                settings=self.settings,
            )
        )


@pytest.fixture
def world() -> World:
    return World()


def judged_call(name: str = "write_file", arguments: JsonObject | None = None, asking: Asking = Asking.ASK) -> Call:
    """A call as it reaches consent."""
    call = identified(make_call(name, arguments or {"path": "/tmp/a"}))
    call = call.proved(Classified(risk=Risk.WRITE, effects=("writes",), signs=()))
    call = call.proved(Confined(paths=("/tmp/a",)))
    call = call.proved(Judged(asking=asking, rules=(), because=("writes are always asked",)))
    return call.proved(MaskedArguments(kinds=()))
