"""What programs that come over the bridge can make happen, without a bridge."""

import asyncio

import pytest

from tests.control.conftest import Room
from tests.gateway.front import until
from ztmcp_desktop.domain.caller import Attested, Program
from ztmcp_desktop.domain.consent import Answer, Scope, Shown, Verdict
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ServerName

FILES = ServerName("files")


def cursor(path: str = "/tmp/cursor") -> Attested:
    return Attested(pid=7, owner="u", program=Program(path=path, sha256="ab" * 32))


@pytest.fixture
async def screen(room: Room) -> Room:
    room.front.screen = True
    await room.add_server()
    return room


@pytest.mark.attack("P14")
async def test_a_program_never_comes_under_a_name_that_a_rule_speaks_of(screen: Room) -> None:
    screen.desk.verdict = Verdict.ALLOW
    screen.rules.add("trust", 'permit (principal == Client::"cursor", action, resource);')
    assert (await screen.pairing.admit(cursor(), FILES)).client == "cursor-2"


@pytest.mark.attack("C13")
async def test_nobody_is_asked_about_a_program_while_everything_is_locked(screen: Room) -> None:
    screen.desk.verdict = Verdict.ALLOW
    screen.lockdown.lock()
    with pytest.raises(Denial) as denied:
        await screen.pairing.admit(cursor(), FILES)
    assert denied.value.code is Code.LOCKED_DOWN
    assert (screen.desk.tickets, screen.clients.all()) == ([], ())


@pytest.mark.attack("C13")
async def test_a_yes_that_comes_after_the_lock_lets_nobody_in(screen: Room) -> None:
    asking = asyncio.create_task(screen.pairing.admit(cursor(), FILES))
    await until(lambda: bool(screen.desk.tickets))
    (ticket,) = screen.desk.tickets
    screen.lockdown.lock()
    ticket.play(Shown())
    ticket.play(Answer(verdict=Verdict.ALLOW, scope=Scope.ONCE, digest=ticket.question.digest))
    with pytest.raises(Denial) as denied:
        await asking
    assert denied.value.code is Code.LOCKED_DOWN
    assert screen.clients.all() == ()
