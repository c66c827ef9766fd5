"""Stage 8."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes import FakeDesk, FakeTicket
from tests.pipeline.conftest import World, judged_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.caller import Attested, Caller, Program, Unknown
from ztmcp_desktop.domain.consent import Answer, DeskEvent, Proposal, Question, Scope, Shown, Verdict, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import EntryKind
from ztmcp_desktop.domain.names import ClientName, Digest, SecretName, ServerName
from ztmcp_desktop.domain.proof import Asking, Authenticated, Consented, ConsentedBy
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.settings import Settings


async def refusal(world: World, **changes: object) -> Code:
    with pytest.raises(Denial) as refused:
        await world.consent()(judged_call(**changes))  # type: ignore[arg-type]
    return refused.value.code


async def test_no_is_no(world: World) -> None:
    world.desk.verdict = Verdict.DENY
    assert await refusal(world) is Code.REFUSED_BY_PERSON


async def test_with_nobody_at_the_desk_the_answer_is_no(world: World) -> None:
    world.desk.present = False
    assert await refusal(world) is Code.NOBODY_THERE


@pytest.mark.attack("C1")
async def test_an_answer_to_another_question_is_no_yes(world: World) -> None:
    consent = world.consent()
    task = asyncio.ensure_future(consent(judged_call()))
    await world.clock.advance(0)
    world.desk.tickets[0].play(Answer(verdict=Verdict.ALLOW, scope=Scope.ONCE, digest=Digest("0" * 64)))
    with pytest.raises(Denial) as refused:
        await task
    assert refused.value.code is Code.GATEWAY_FAULT


async def test_a_call_that_was_not_judged_is_not_asked_about(world: World) -> None:
    call = judged_call()
    with pytest.raises(Denial) as refused:
        await world.consent()(replace(call, proofs=call.proofs[:-2]))
    assert refused.value.code is Code.GATEWAY_FAULT
    assert world.desk.tickets == []


@pytest.mark.attack("C7")
async def test_too_many_open_questions_refuse_the_next(world: World) -> None:
    world.settings = Settings(max_open_questions=1)
    consent = world.consent()
    first = asyncio.ensure_future(consent(judged_call()))
    await world.clock.advance(0)
    with pytest.raises(Denial) as refused:
        await consent(judged_call())
    assert refused.value.code is Code.NO_ANSWER
    assert len(world.desk.tickets) == 1
    first.cancel()


@pytest.mark.attack("C8")
async def test_when_the_client_gives_up_the_question_goes_away(world: World) -> None:
    task = asyncio.ensure_future(world.consent()(judged_call()))
    await world.clock.advance(0)
    world.desk.tickets[0].play(Shown())
    await world.clock.advance(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.desk.tickets[0].withdrawn is Withdrawal.CLIENT_GAVE_UP


@pytest.mark.attack("C1")
async def test_two_identical_calls_need_two_decisions(world: World) -> None:
    world.desk.verdict = Verdict.ALLOW
    consent = world.consent()
    await consent(judged_call())
    await consent(judged_call())
    assert len(world.desk.tickets) == 2
    assert world.grants.all() == ()


async def test_a_yes_for_the_session_covers_the_same_call_and_no_other(world: World) -> None:
    world.desk = FakeDesk(Verdict.ALLOW, Scope.EXACT_SESSION)
    consent = world.consent()
    await consent(judged_call(arguments={"path": "/tmp/a"}))
    second = await consent(judged_call(arguments={"path": "/tmp/a"}))
    assert second.proof(Consented).by is ConsentedBy.GRANT
    assert [row.kind for row in world.ledger.rows] == [EntryKind.GRANT]
    await consent(judged_call(arguments={"path": "/tmp/b"}))
    assert len(world.desk.tickets) == 2


async def test_a_grant_that_cannot_be_recorded_is_not_given(world: World) -> None:
    world.desk = FakeDesk(Verdict.ALLOW, Scope.EXACT_SESSION)
    world.ledger.broken = True
    assert await refusal(world) is Code.GATEWAY_FAULT
    assert world.grants.all() == ()


@pytest.mark.attack("C10")
async def test_a_grant_does_not_outlive_a_change_of_the_servers_limits(world: World) -> None:
    world.desk = FakeDesk(Verdict.ALLOW, Scope.EXACT_SESSION)
    consent = world.consent()
    await consent(judged_call())
    world.servers.servers[ServerName("files")] = Server(
        name=ServerName("files"), endpoint=LocalCommand(argv=("files", "--everything"))
    )
    await consent(judged_call())
    assert len(world.desk.tickets) == 2


async def test_a_rules_permit_asks_nobody(world: World) -> None:
    call = await world.consent()(judged_call(asking=Asking.UNASKED))
    assert call.proof(Consented).by is ConsentedBy.RULE
    assert world.desk.tickets == []


async def test_the_question_says_which_secrets_the_process_starts_with_and_later_holds(world: World) -> None:
    server = Server(
        name=ServerName("files"),
        endpoint=LocalCommand(argv=("files",), secret_env=(("GITHUB_TOKEN", SecretName("github")),)),
    )
    world.servers.servers[server.name] = server
    world.desk.verdict = Verdict.ALLOW
    await world.consent()(judged_call())
    world.upstreams.up.add(("tests", "files"))
    await world.consent()(judged_call())
    first, second = (ticket.question for ticket in world.desk.tickets)
    assert (first.starts_with, first.holds) == (("github",), ())  # type: ignore[union-attr]
    assert (second.starts_with, second.holds) == ((), ("github",))  # type: ignore[union-attr]


async def test_protocol_fields_do_not_change_what_a_yes_covers(world: World) -> None:
    world.desk = FakeDesk(Verdict.ALLOW, Scope.EXACT_SESSION)
    consent = world.consent()
    first = judged_call()
    second = replace(first, params={**first.params, "_meta": {"progressToken": 7}})
    third = replace(first, params={**first.params, "_meta": {"vendor/flag": True}})
    await consent(first)
    assert (await consent(second)).proof(Consented).by is ConsentedBy.GRANT
    assert (await consent(third)).proof(Consented).by is ConsentedBy.PERSON


@pytest.mark.attack("P11")
async def test_the_row_of_a_grant_holds_no_personal_data(world: World) -> None:
    world.desk = FakeDesk(Verdict.ALLOW, Scope.EXACT_SESSION)
    call = judged_call()
    call = replace(call, method="resources/read", params={"uri": "crm://people/ada@example.org"})
    await world.consent()(call)
    assert [row.kind for row in world.ledger.rows] == [EntryKind.GRANT]
    assert "ada@example.org" not in repr(world.ledger.rows)


@pytest.mark.attack("C7")
async def test_one_client_cannot_take_all_the_questions(world: World) -> None:
    world.settings = Settings(max_open_questions=8)
    consent = world.consent()
    tasks = [asyncio.ensure_future(consent(judged_call(arguments={"n": n}))) for n in range(2)]
    await world.clock.advance(0)
    with pytest.raises(Denial) as refused:
        await consent(judged_call())
    assert refused.value.code is Code.NO_ANSWER
    call = judged_call()
    other = replace(call, principal=replace(call.principal, client=ClientName("other")))
    tasks.append(asyncio.ensure_future(consent(other)))
    await world.clock.advance(0)
    assert len(world.desk.tickets) == 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.attack("C1")
@pytest.mark.parametrize("member", ["task", "vendor"])
async def test_a_rule_that_asks_nobody_does_not_cover_members_that_no_stage_looked_at(
    world: World, member: str
) -> None:
    world.desk.verdict = Verdict.ALLOW
    call = judged_call(asking=Asking.UNASKED)
    call = await world.consent()(replace(call, params={**call.params, member: {"path": "/etc/shadow"}}))
    assert call.proof(Consented).by is ConsentedBy.PERSON
    (ticket,) = world.desk.tickets
    assert member in ticket.question.because[-1]  # type: ignore[union-attr]


async def test_a_question_whose_desk_breaks_goes_away(world: World) -> None:
    class Broken(FakeTicket):
        async def event(self) -> DeskEvent:
            raise ValueError("the window broke")

    class Breaking(FakeDesk):
        def open(self, question: Question | Proposal) -> FakeTicket:
            self.tickets.append(Broken(question))
            return self.tickets[0]

    world.desk = Breaking()
    with pytest.raises(ValueError, match="broke"):
        await world.consent()(judged_call())
    assert world.desk.tickets[0].withdrawn is Withdrawal.CORE_STOPPED


NODE = Program(path="/usr/bin/node", sha256="1" * 64, script="/opt/claude/cli.js", script_sha256="2" * 64)


def stranger_call(caller: Caller, asking: Asking = Asking.UNASKED) -> Call:
    """A call that a rule lets pass, from another program than the token was known with."""
    call = judged_call(asking=asking)
    strange = Authenticated(client=call.principal.client, server=call.server, unlike="/usr/bin/before")
    return replace(call, caller=caller).proved(strange)


FROM_NODE = Attested(pid=7, owner="u", program=NODE)


@pytest.mark.attack("P14")
async def test_another_program_than_before_is_asked_about_even_where_a_rule_would_let_it_pass(world: World) -> None:
    world.desk.verdict = Verdict.DENY
    with pytest.raises(Denial) as refused:
        await world.consent()(stranger_call(FROM_NODE))
    assert refused.value.code is Code.REFUSED_BY_PERSON
    assert world.clients.accepted == []
    question = world.desk.tickets[0].question
    assert isinstance(question, Question)
    [warning] = question.warnings
    assert warning.startswith("Another program than before uses the token of tests: /usr/bin/node /opt/claude/cli.js.")
    assert warning.endswith("Before it was /usr/bin/before")
    assert question.caller == FROM_NODE


@pytest.mark.attack("P14")
async def test_another_program_than_before_gets_no_remembered_yes(world: World) -> None:
    world.desk.verdict, world.desk.scope = Verdict.ALLOW, Scope.EXACT_SESSION
    await world.consent()(judged_call())
    world.desk.verdict = Verdict.DENY
    with pytest.raises(Denial):
        await world.consent()(stranger_call(FROM_NODE, Asking.ASK))
    assert len(world.desk.tickets) == 2


@pytest.mark.attack("P14")
async def test_a_yes_that_cannot_be_recorded_makes_no_program_known(world: World) -> None:
    world.desk.verdict, world.ledger.broken = Verdict.ALLOW, True
    with pytest.raises(Denial):
        await world.consent()(stranger_call(FROM_NODE))
    assert world.clients.accepted == []


@pytest.mark.attack("P14")
async def test_a_yes_to_a_program_that_cannot_be_found_out_is_for_one_call(world: World) -> None:
    world.desk.verdict = Verdict.ALLOW
    await world.consent()(stranger_call(Unknown(why="the connection was closed")))
    assert world.clients.accepted == []
    assert world.ledger.rows == []


@pytest.mark.attack("P14")
async def test_with_nobody_at_the_desk_another_program_gets_nothing(world: World) -> None:
    world.desk.present = False
    for caller in (FROM_NODE, Unknown(why="the connection was closed")):
        with pytest.raises(Denial) as refused:
            await world.consent()(stranger_call(caller))
        assert refused.value.code is Code.NOBODY_THERE
    assert world.clients.accepted == []


async def test_a_yes_to_another_program_makes_it_known_and_remembers_nothing_else(world: World) -> None:
    world.desk.verdict, world.desk.scope = Verdict.ALLOW, Scope.EXACT_SESSION
    call = await world.consent()(stranger_call(FROM_NODE))
    assert call.proof(Consented).by is ConsentedBy.PERSON
    assert world.clients.accepted == [FROM_NODE]
    [row] = world.ledger.rows
    assert (row.kind, row.method, row.subject) == (EntryKind.CLIENT, "accept", NODE.place)
    assert row.body["sha256"] == NODE.sha256
    assert world.grants.all() == ()
    question = world.desk.tickets[0].question
    assert isinstance(question, Question)
    assert question.scopes == (Scope.ONCE,)


async def test_what_the_system_reports_and_what_the_client_calls_itself_come_to_the_question(world: World) -> None:
    world.desk.verdict = Verdict.ALLOW
    await world.consent()(replace(judged_call(), caller=FROM_NODE, claimed="claude-desktop 1.0"))
    question = world.desk.tickets[0].question
    assert isinstance(question, Question)
    assert (question.caller, question.claimed) == (FROM_NODE, "claude-desktop 1.0")
    assert question.warnings == ()
