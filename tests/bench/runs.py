"""What is run: ztmcp before each kind of server, before a fast one, and beside each other gateway."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.arithmetic import Round
from tests.bench.direct import HttpServer, PipesServer
from tests.bench.eras import Era
from tests.bench.ours import Kind, Ours
from tests.bench.peer import Form, Gateway, Peer
from tests.bench.program import ECHO, FAST, Program
from tests.bench.rounds import Plan, Run, grow, rounds, start_often


@dataclass
class Group:
    """What ran by turns: the servers themselves, ztmcp, and perhaps another gateway with what kept it from running."""

    server: Program
    ours: Ours
    run: Run = field(default_factory=Run)
    peer: Peer | None = None
    why_not: str = ""

    @property
    def gateways(self) -> list[Program]:
        return [self.ours, *([self.peer] if self.peer is not None else [])]


@asynccontextmanager
async def started(program: Program, plan: Plan | None = None) -> AsyncIterator[Program]:
    """Run it; with a plan, start it as often as that says."""
    try:
        if plan is None:
            await program.start()
        else:
            await start_often(program, plan)
        yield program
    finally:
        await program.stop()


@asynccontextmanager
async def ztmcp(era: Era, kind: Kind, url: str, plan: Plan | None) -> AsyncIterator[Ours]:
    ours = Ours(era, kind, url)
    try:
        ours.make_ready()
        async with started(ours, plan):
            yield ours
        ours.verify()
    finally:
        ours.clear_away()


async def alone(era: Era, kind: Kind, plan: Plan, script: Path = ECHO) -> Group:
    """ztmcp by turns with the server itself; before a fast server its growth is not measured again."""
    server = HttpServer(era, script)
    async with started(server), ztmcp(era, kind, server.url, plan) as ours:
        group = Group(server=server, ours=ours, run=await rounds([server, ours], plan))
        if script != FAST:
            await grow(ours, plan, group.run)
    return group


async def beside(era: Era, gateway: Gateway, plan: Plan, known: Sequence[Group]) -> Group:
    """ztmcp, another gateway, and the server itself, by turns; a gateway that does not start is said to be so.

    What ztmcp weighs alone is measured once, in the first of these groups that has its kind.
    """
    kind = Kind.HTTP if gateway.form is Form.HTTP_TO_HTTP else Kind.STDIO
    first = all(group.ours.kind is not kind for group in known)
    server, peer = HttpServer(era), Peer(era, gateway)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(started(server))
        peer.url = server.url
        ours = await stack.enter_async_context(ztmcp(era, kind, server.url, plan if first else None))
        group = Group(server=server, ours=ours, peer=peer)
        programs: list[Program] = [server, ours]
        if gateway.form is Form.PIPES:
            programs.insert(1, await stack.enter_async_context(started(PipesServer(era))))
        try:
            programs.append(await stack.enter_async_context(started(peer, plan)))
        except Exception as error:  # noqa: BLE001 - whatever keeps it from starting is what its row says
            group.why_not = f"{type(error).__name__}: {error}"
        group.run = await rounds(programs, plan)
        for program in [*([ours] if first else []), *([] if group.why_not else [peer])]:
            await grow(program, plan, group.run)
    return group


def rounds_of(groups: Sequence[Group], name: str) -> list[Round]:
    """The rounds of one program in all groups that have it."""
    return [taken for group in groups for taken in group.run.rounds.get(name, [])]


def together(groups: Sequence[Group]) -> Group:
    """The rounds of ztmcp and of the server in all groups as one; what it weighs, from the first."""
    first = groups[0]
    run = Run(growth=first.run.growth, after_mib=first.run.after_mib)
    for program in (first.server, first.ours):
        run.rounds[program.name] = rounds_of(groups, program.name)
    run.others = [share for group in groups for share in group.run.others]
    for group in groups[1:]:
        first.ours.failures.update(group.ours.failures)
    return Group(server=first.server, ours=first.ours, run=run)
