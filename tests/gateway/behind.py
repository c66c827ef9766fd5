"""What stands behind the gateway in tests: real processes, unconfined, with a real catalogue."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.fakes import FakeClock, FakeLedger, FakeStateStore, FakeVault, SilentChannel, make_call, make_digester
from ztmcp_desktop.domain.call import Call, Outbound, Reply
from ztmcp_desktop.domain.client import ALL_RIGHTS, Principal
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.limits import Folder, Limits
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, TokenId
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.proof import Identified
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import Launch, SandboxReport
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.gateway.catalogue import PinnedCatalogue
from ztmcp_desktop.gateway.http_client import AiohttpClient
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.login.logins import Logins
from ztmcp_desktop.gateway.login.parts import LoginParts
from ztmcp_desktop.gateway.upstreams import StdioAndHttpUpstreams

RAW = str(Path(__file__).parents[1] / "servers" / "raw.py")
WAIT_S = 10.0
NAME = ServerName("files")


class Child:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.pid, self.stdin, self.stdout, self.stderr = process.pid, process.stdin, process.stdout, process.stderr
        self._process = process

    async def wait(self) -> int:
        return await self._process.wait()

    async def kill(self) -> None:
        # Not Popen's own kill: it reaps a process that has ended, behind the back of asyncio's watcher.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        await self._process.wait()
        self._process._transport.close()  # type: ignore[attr-defined]


class Unconfined:
    """Starts a process as it is, and remembers what it was to start."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.children: list[Child] = []

    def report(self) -> SandboxReport:
        return SandboxReport(name="none", works=True)

    async def start(self, launch: Launch) -> Child:
        self.launches.append(launch)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *launch.runtime.argv, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **launch.env.open()}
        )
        self.children.append(Child(process))
        return self.children[-1]


class OneServer:
    def __init__(self, server: Server) -> None:
        self.server = server

    def get(self, name: ServerName) -> Server:
        if name != self.server.name:
            raise Denial(Code.NOT_PERMITTED, "no such server")
        return self.server

    def all(self) -> tuple[Server, ...]:
        return (self.server,)


class Person:
    """Answers what servers ask of clients, after `wait`, and lets all pass that they are told, unless it is `deaf`."""

    def __init__(self) -> None:
        self.asked: list[Call] = []
        self.told: list[Call] = []
        self.deaf = False
        self.wait = asyncio.Event()
        self.wait.set()

    async def ask_client(self, call: Call) -> Reply:
        self.asked.append(call)
        await self.wait.wait()
        return Reply(body={"action": "accept", "content": {"name": "Ada"}})

    async def tell_client(self, call: Call, plain: frozenset[str]) -> JsonObject | None:
        self.told.append(call)
        return None if self.deaf else call.params


def _server(argv: tuple[str, ...], url: str | None, limits: Limits) -> Server:
    endpoint = RemoteUrl(url=url) if url else LocalCommand(argv=argv)
    return Server(name=NAME, endpoint=endpoint, limits=limits)


class Word:
    """The person: says `answer` to each proposal, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[Widening] = []
        self.answer: Denial | None = None

    async def agree(self, widening: Widening) -> int:
        self.asked.append(widening)
        if self.answer is not None:
            raise self.answer


class NoLockdown:
    locked = False


def login_parts(behind: "Behind") -> LoginParts:
    return LoginParts(
        http=behind.http,
        vault=behind.vault,
        state=behind.state,
        clock=behind.clock,
        ledger=behind.ledger,
        word=behind.word,
        lockdown=behind.lockdown,
        redact=lambda body: body,
        page=lambda: behind.page,
        document=behind.document,
    )


@dataclass
class Behind:
    server: Server
    runtime: Runtime | None
    clock: FakeClock = field(default_factory=FakeClock)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    sandbox: Unconfined = field(default_factory=Unconfined)
    person: Person = field(default_factory=Person)
    listeners: Listeners = field(default_factory=Listeners)
    word: Word = field(default_factory=Word)
    lockdown: NoLockdown = field(default_factory=NoLockdown)
    vault: FakeVault = field(default_factory=FakeVault)
    state: FakeStateStore = field(default_factory=FakeStateStore)
    page: Callable[[str], None] | None = None
    document: str = ""
    http: AiohttpClient = field(default_factory=AiohttpClient)

    def __post_init__(self) -> None:
        self.book = OneServer(self.server)
        self.catalogue = PinnedCatalogue(self.state, self.book, make_digester())
        self.logins = Logins(login_parts(self))
        self.upstreams = StdioAndHttpUpstreams(
            servers=self.book,
            catalogue=self.catalogue,
            sandbox=self.sandbox,
            reverse=self.person,
            ledger=self.ledger,
            clock=self.clock,
            http=self.http,
            logins=self.logins,
            digester=make_digester(),
            listeners=self.listeners,
        )

    async def approve(self) -> None:
        self.catalogue.approve_command(self.server, self.runtime)
        self.catalogue.approve_offer(NAME, await self.upstreams.probe(self.server, self.runtime))

    def call(self, tool: str = "echo", *, client: str = "tests", era: Era = Era.LEGACY, **changes: Any) -> Call:
        """A call as it comes to the stage that forwards it."""
        principal = Principal(
            client=ClientName(client), token=TokenId(client), session=SessionId(client), rights=ALL_RIGHTS
        )
        params = changes.pop("params", {"name": tool, "arguments": {"how": "low"}})
        headers = changes.pop("headers", {})
        call = replace(make_call(params=params, principal=principal, server=NAME), era=era, **changes)
        pin = self.catalogue.identify(NAME, call.item_kind, call.subject)
        call = call.proved(Identified(server=NAME, subject=call.subject, pin=pin))
        return replace(call, outbound=Sealed(Outbound(params=params, headers=headers)))

    async def send(self, tool: str = "echo", **changes: Any) -> JsonObject:
        reply = await asyncio.wait_for(self.upstreams.send(self.call(tool, **changes)), WAIT_S)
        return reply.body

    async def close(self) -> None:
        await self.upstreams.stop()
        await self.logins.close()
        await self.http.close()


def raw_server(mode: str, *arguments: str, folder: Path | None = None, **limits: Any) -> Behind:
    folders = (Folder(path=folder),) if folder else ()
    argv = (sys.executable, RAW, mode, *arguments)
    server = _server(argv, None, Limits(folders=folders, **limits))
    return Behind(server=server, runtime=Runtime(argv=argv, mounts=(Path(RAW),)))


def command(*argv: str) -> Behind:
    return Behind(server=_server(argv, None, Limits()), runtime=Runtime(argv=argv))


def remote(url: str, **limits: Any) -> Behind:
    return Behind(server=_server((), url, Limits(**limits)), runtime=None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.01)


__all__ = ["Behind", "SilentChannel", "command", "raw_server", "remote", "until"]
