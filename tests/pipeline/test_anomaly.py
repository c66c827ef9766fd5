"""The n-th call of any port fails, for n = 1, 2, … until none does: no result that was not allowed and recorded."""

import asyncio
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeDesk, FakePolicy, FakeVault, make_call, make_pin
from tests.pipeline.conftest import World
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.caller import Caller, Program
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.consent import Scope, Verdict
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import EntryKind, Outcome
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.offer import ItemKind, Pin
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.chain import PipelineParts, build_pipeline
from ztmcp_desktop.scan.redact import redact

MAX_PORT_CALLS = 200
APART = {"settings", "own_folders", "user_home"}
TOOL = {
    "name": "write_file",
    "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}, "key": {"type": "string"}}},
}


class BrokenError(Exception):
    """A failure that no stage expects."""


@dataclass
class Counter:
    """Counts every use of every port; the one with number `fails_at` raises."""

    fails_at: int
    kind: type[Exception]
    count: int = 0

    def use(self) -> None:
        self.count += 1
        if self.count == self.fails_at:
            raise Denial(Code.GATEWAY_FAULT, "a part failed") if self.kind is Denial else self.kind("a part failed")


class Counted:
    """A port whose every use is counted."""

    def __init__(self, inner: Any, counter: Counter) -> None:
        self._inner = inner
        self._counter = counter

    def __call__(self, *arguments: Any) -> Any:
        self._counter.use()
        return self._inner(*arguments)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.iscoroutinefunction(found):

            async def later(*arguments: Any, **named: Any) -> Any:
                self._counter.use()
                return await found(*arguments, **named)

            return later
        if callable(found):

            def now(*arguments: Any, **named: Any) -> Any:
                self._counter.use()
                return found(*arguments, **named)

            return now
        self._counter.use()
        return found


class Clients:
    def confirm(self, principal: Principal, server: ServerName) -> None:
        return

    def meet(self, principal: Principal, caller: Caller) -> Program | None:
        return Program(path="/usr/bin/before", sha256="0" * 64)

    def accept(self, principal: Principal, caller: Caller) -> None:
        return


class Catalogue:
    def identify(self, server: ServerName, kind: ItemKind | None, subject: str) -> Pin:
        return make_pin(TOOL, server=server)


class Lists:
    def answer(self, call: Call) -> Reply:
        return Reply(body={})


def parts_of(world: World, counter: Counter, folder: Path) -> PipelineParts:
    world.desk = FakeDesk(Verdict.ALLOW, Scope.EXACT_SESSION)
    world.vault = FakeVault(**{"secret/key": "secret-value"})
    world.upstreams.reply = Reply(body={"content": [{"type": "text", "text": "mail ada@example.org"}]})
    server = Server(
        name=ServerName("files"),
        endpoint=LocalCommand(argv=("files",), secret_env=(("KEY", SecretName("key")),)),
        limits=Limits(folders=(Folder(path=folder, access=Access.READ_WRITE),)),
    )
    world.servers.servers[server.name] = server
    real: dict[str, Any] = {
        "clients": Clients(),
        "catalogue": Catalogue(),
        "servers": world.servers,
        "policy": FakePolicy(),
        "grants": world.grants,
        "vault": world.vault,
        "upstreams": world.upstreams,
        "lists": Lists(),
        "desk": world.desk,
        "ledger": world.ledger,
        "lockdown": world.lockdown,
        "redact": redact,
        "digester": world.digester,
        "clock": world.clock,
    }
    assert set(real) == {field.name for field in fields(PipelineParts)} - APART
    return PipelineParts(
        **{name: Counted(port, counter) for name, port in real.items()},
        settings=world.settings,
        own_folders=(folder.parent / "ours",),
        user_home=folder.parent,
    )


def failures(kind: type[Exception], folder: Path) -> Iterator[tuple[World, Counter, PipelineParts]]:
    for number in range(1, MAX_PORT_CALLS):
        world = World()
        counter = Counter(fails_at=number, kind=kind)
        yield world, counter, parts_of(world, counter, folder)
        if counter.count < number:
            return
    raise AssertionError("the ports are called more often than is sane")


@pytest.mark.attack("C12")
@pytest.mark.promise("R3", "R9")
@pytest.mark.allow_log("failed in (BrokenError|OSError)")
@pytest.mark.parametrize("kind", [BrokenError, Denial, OSError])
async def test_whichever_port_fails_no_result_leaves_that_was_not_allowed_and_recorded(
    kind: type[Exception], tmp_path: Path
) -> None:
    refused = 0
    for world, counter, parts in failures(kind, tmp_path):
        call = make_call("write_file", {"path": str(tmp_path / "a")})
        try:
            await asyncio.wait_for(build_pipeline(parts).run(call), 10)
        except (Denial, kind):
            refused += 1
            assert counter.count >= counter.fails_at
            assert [row for row in world.ledger.rows if row.outcome is Outcome.ALLOWED] == []
            if world.upstreams.seen:
                assert EntryKind.OPENED in {row.kind for row in world.ledger.rows}
        else:
            # Where the call went through although a part failed, it was allowed, asked about and recorded all the same.
            assert len(world.desk.tickets) == 1
            assert [(row.kind, row.outcome) for row in world.ledger.rows if row.kind is not EntryKind.GRANT] == [
                (EntryKind.OPENED, None),
                (EntryKind.CLOSED, Outcome.ALLOWED),
            ]
        if world.upstreams.seen:
            assert len(world.desk.tickets) == 1, "something was sent that nobody was asked about"
    assert refused > 15
