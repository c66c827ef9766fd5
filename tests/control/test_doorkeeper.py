import asyncio
from dataclasses import replace

import pytest

from tests.control.conftest import Room
from tests.fakes import FakeDesk
from tests.gateway.front import until
from ztmcp_desktop.control.doorkeeper import Doorkeeper, DoorkeeperParts, widening
from ztmcp_desktop.control.proposals import Proposals
from ztmcp_desktop.domain.caller import Attested, Caller, Program, Unknown
from ztmcp_desktop.domain.client import Introduction, Login, Registration, Right
from ztmcp_desktop.domain.consent import Proposal, Verdict
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.pipeline.desk import NobodyAtTheDesk
from ztmcp_desktop.ports import ConsentDesk

PROGRAM = Program(path="/usr/bin/node", sha256="ab" * 32, script="/opt/inspector.js", script_sha256="cd" * 32)
NODE = Attested(
    pid=77,
    owner="u",
    program=PROGRAM,
    arguments=("node", "inspector.js"),
    parents=("/usr/bin/bash", "/usr/bin/term", "/sbin/init"),
)
NOBODY = Unknown(why="nobody listens there")


def login(
    *,
    claimed: str = "Inspector",
    redirect: str = "http://127.0.0.1:4312/cb",
    receiver: Caller = NODE,
    introduction: Introduction = Introduction.REGISTERED,
    program: str = "/usr/bin/node /opt/inspector.js",
    uris: tuple[str, ...] = ("http://127.0.0.1/cb",),
    rights: frozenset[Right] = frozenset({Right.READ}),
    known_as: str | None = None,
    client_id: str = "ztmcp-1",
) -> Login:
    registration = Registration(
        id=client_id,
        introduction=introduction,
        claimed_name=claimed,
        redirect_uris=uris,
        program=program,
    )
    return Login(
        registration=registration,
        server=ServerName("files"),
        rights=rights,
        redirect_uri=redirect,
        receiver=receiver,
        known_as=ClientName(known_as) if known_as else None,
    )


class Locked:
    def __init__(self) -> None:
        self.locked = False


class House:
    """A doorkeeper in a room, with a desk that the test answers at."""

    def __init__(self, room: Room, desk: ConsentDesk, proposals: Proposals | None = None) -> None:
        self.room = room
        self.lockdown = Locked()
        self.keeper = Doorkeeper(
            DoorkeeperParts(
                proposals=proposals or Proposals(desk, room.digester, room.clock, 60),
                clients=room.clients,
                rules=room.rules,
                ledger=room.ledger,
                lockdown=self.lockdown,
                clock=room.clock,
                redact=lambda body: body,
            )
        )

    @property
    def rows(self) -> list[tuple[str, str, str | None]]:
        return [(row.method, row.client, row.outcome) for row in self.room.ledger.rows if row.kind.value == "client"]


async def test_a_yes_lets_it_in_for_what_was_asked_and_is_on_record(room: Room) -> None:
    house = House(room, FakeDesk(Verdict.ALLOW))

    yes = await house.keeper.let_in(login())

    assert yes.client.name == "inspector"
    assert yes.client.rights == (("files", frozenset({Right.READ})),)
    assert (yes.expires - room.clock.now()).days == 7
    assert room.clients.all() == (yes.client,)
    assert house.rows == [("login", "inspector", "allowed")]


@pytest.mark.parametrize(("choice", "days"), [(0, 7), (1, 30), (2, 90)])
async def test_it_lasts_as_long_as_the_person_chose(room: Room, choice: int, days: int) -> None:
    desk = FakeDesk(Verdict.ALLOW)
    desk.choice = choice
    yes = await House(room, desk).keeper.let_in(login())
    assert (yes.expires - room.clock.now()).days == days


@pytest.mark.parametrize("choice", [3, -1])
async def test_a_choice_that_was_not_offered_is_a_no(room: Room, choice: int) -> None:
    desk = FakeDesk(Verdict.ALLOW)
    desk.choice = choice
    with pytest.raises(Denial):
        await House(room, desk).keeper.let_in(login())
    assert room.clients.all() == ()


async def test_a_no_leaves_nothing_but_a_row(room: Room) -> None:
    house = House(room, FakeDesk(Verdict.DENY))

    with pytest.raises(Denial) as denied:
        await house.keeper.let_in(login())

    assert denied.value.code is Code.REFUSED_BY_PERSON
    assert room.clients.all() == ()
    assert house.rows == [("login", "inspector", "denied")]


@pytest.mark.attack("C7")
@pytest.mark.parametrize("again", [login(client_id="ztmcp-2"), login(receiver=NOBODY)], ids=["program", "client"])
async def test_the_third_no_holds_for_a_minute_for_the_client_and_for_the_program(room: Room, again: Login) -> None:
    desk = FakeDesk(Verdict.DENY)
    house = House(room, desk)
    for asked in (login(), login(), again, again, login()):
        with pytest.raises(Denial) as denied:
            await house.keeper.let_in(asked)
        assert denied.value.code is Code.REFUSED_BY_PERSON

    assert len(desk.tickets) == 3
    # What nobody was asked about is counted, not written down row by row.
    assert len(house.rows) == 3
    await room.clock.advance(61)
    desk.verdict = Verdict.ALLOW
    await house.keeper.let_in(again)


@pytest.mark.attack("C7")
async def test_clients_that_change_their_ids_are_not_asked_about_for_ever(room: Room) -> None:
    desk = FakeDesk(Verdict.DENY)
    house = House(room, desk)
    for number in range(20):
        with pytest.raises(Denial):
            await house.keeper.let_in(login(client_id=f"ztmcp-{number}", receiver=NOBODY))

    assert len(desk.tickets) == 8


@pytest.mark.attack("C7")
async def test_programs_cannot_keep_the_command_line_out(room: Room) -> None:
    room.front.screen = True
    desk = room.desk
    house = House(room, desk, room.proposals)
    asked = [login(client_id=f"ztmcp-{number}", receiver=NOBODY) for number in range(8)]
    logins = [asyncio.create_task(house.keeper.let_in(one)) for one in asked]
    bridge = [Attested(pid=7, owner="u", program=replace(PROGRAM, path=f"/tmp/{name}")) for name in "abcd"]
    await room.add_server()
    pairs = [asyncio.create_task(room.pairing.admit(one, ServerName("files"))) for one in bridge]
    await until(lambda: sum(one.done() for one in (*logins, *pairs)) == 9)
    own = asyncio.create_task(room.outside.ask("client.pair", {"for_s": 60}))
    await until(lambda: len(desk.tickets) == 4 or own.done())
    assert not own.done()
    for one in (*logins, *pairs, own):
        one.cancel()
    await asyncio.gather(*logins, *pairs, own, return_exceptions=True)


async def test_without_a_screen_nobody_logs_in(room: Room) -> None:
    house = House(room, NobodyAtTheDesk())

    with pytest.raises(Denial) as denied:
        await house.keeper.let_in(login())

    assert denied.value.code is Code.NOBODY_THERE
    assert room.clients.all() == ()


async def test_what_cannot_be_recorded_is_not_done(room: Room) -> None:
    house = House(room, FakeDesk(Verdict.ALLOW))
    room.ledger.broken = True

    with pytest.raises(Denial):
        await house.keeper.let_in(login())

    assert room.clients.all() == ()


async def test_nobody_is_asked_while_everything_is_locked(room: Room) -> None:
    desk = FakeDesk(Verdict.ALLOW)
    house = House(room, desk)
    house.lockdown.locked = True

    with pytest.raises(Denial) as denied:
        await house.keeper.let_in(login())

    assert denied.value.code is Code.LOCKED_DOWN
    assert desk.tickets == []


@pytest.mark.attack("P14")
async def test_it_never_comes_under_a_name_that_is_taken_or_that_a_rule_speaks_of(room: Room) -> None:
    house = House(room, FakeDesk(Verdict.ALLOW))
    room.clients.add(ClientName("claude-desktop"), (ServerName("files"),), 3600)
    room.rules.add("trust", 'permit (principal == Client::"claude-desktop-2", action, resource);')

    yes = await house.keeper.let_in(login(claimed="Claude Desktop"))

    assert yes.client.name == "claude-desktop-3"


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        ("MCP Inspector!", "mcp-inspector"),
        ("  --a__b--  ", "a-b"),
        ("3 things", "client"),
        ("", "client"),
        ("\u202eelbuod", "elbuod"),
        ("Ünïcode", "n-code"),
        ("x" * 500, "x" * 24),
        ('a"; permit(principal,action,resource);', "a-permit-principal-actio"),
    ],
)
async def test_any_claim_becomes_a_plain_name(room: Room, claimed: str, name: str) -> None:
    yes = await House(room, FakeDesk(Verdict.ALLOW)).keeper.let_in(login(claimed=claimed))
    assert yes.client.name == name


async def test_a_client_that_was_let_in_keeps_its_name_and_gets_more(room: Room) -> None:
    house = House(room, FakeDesk(Verdict.ALLOW))
    await house.keeper.let_in(login())

    yes = await house.keeper.let_in(login(rights=frozenset({Right.CALL}), known_as="inspector"))

    assert yes.client.rights == (("files", frozenset(Right)),)
    assert len(room.clients.all()) == 1


async def test_the_dialog_shows_the_claim_beside_what_the_system_says(room: Room) -> None:
    desk = FakeDesk(Verdict.ALLOW)
    await House(room, desk).keeper.let_in(login(claimed="Claude \u202eDesktop", rights=frozenset(Right)))

    asked = desk.tickets[0].question
    assert isinstance(asked, Proposal)
    assert dict(asked.facts) == {
        "Calls itself": "Claude \u202eDesktop",
        "The system says": "/usr/bin/node /opt/inspector.js (process 77) waits for the answer",
        "Its file (SHA-256)": "ab" * 32,
        "Started by": "/usr/bin/bash\n/usr/bin/term\nand 1 more before them",
        "Answer goes to": "this computer, 127.0.0.1:4312",
        "Server": "files",
        "May": "see what it offers, and read its resources and prompts",
        "And": "run its tools, each run under your rules",
        "Known here as": "claude-desktop",
    }
    assert asked.warnings == ()
    assert asked.choices == ("7 days", "30 days", "90 days")
    # What it calls itself is in no sentence of ours.
    assert "Claude" not in asked.sentence


@pytest.mark.parametrize(
    ("asked", "warning"),
    [
        (login(receiver=NOBODY), "does not say which program waits for the answer: nobody listens there."),
        (login(program="/home/u/other"), "Another program registered it: /home/u/other"),
        (login(introduction=Introduction.DOCUMENT, program=""), "any program here can say that it is this client"),
        (
            login(
                introduction=Introduction.DOCUMENT,
                redirect="https://client.example/cb",
                receiver=NOBODY,
                uris=("https://client.example/cb",),
                program="",
            ),
            "The answer leaves this computer, to client.example.",
        ),
    ],
)
def test_what_speaks_against_it_is_said(asked: Login, warning: str) -> None:
    assert warning in " ".join(widening(asked, ClientName("a")).warnings)


def test_a_program_that_is_not_known_is_unknown() -> None:
    facts = dict(widening(login(receiver=NOBODY, program=""), ClientName("a")).facts)
    assert facts["The system says"] == "nothing: nobody listens there"
