from dataclasses import replace

import pytest

from tests.fakes import START, FakeClock, FakePolicy, identified, make_call
from ztmcp_desktop.domain.call import Direction
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import RuleId
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.domain.policy import Decision
from ztmcp_desktop.domain.proof import Asking, Classified, Confined, Judged
from ztmcp_desktop.domain.risk import Action, Risk
from ztmcp_desktop.pipeline.judge import Judge

CLASSIFIED = Classified(risk=Risk.WRITE, effects=("writes",), signs=("Its name says “write”.",))
CONFINED = Confined(paths=("/srv/a",), hosts=("example.org",), tables=("orders",))
CALL = identified(make_call("write_file", {"path": "a"})).proved(CLASSIFIED).proved(CONFINED)
YES = Decision(permitted=True, unasked=False, forbidden=False, rules=(RuleId("default"),))


def judge(decision: Decision) -> tuple[Judge, FakePolicy]:
    policy = FakePolicy(decision)
    return Judge(policy, FakeClock()), policy


async def test_a_rule_that_forbids_is_named() -> None:
    stage, _ = judge(Decision(permitted=False, unasked=False, forbidden=True, rules=(RuleId("no-writes"),)))
    with pytest.raises(Denial, match=r"^refused-by-rule: the rule no-writes forbids it$"):
        await stage(CALL)


async def test_what_no_rule_permits_is_refused_as_such() -> None:
    stage, _ = judge(Decision(permitted=False, unasked=False, forbidden=False, rules=()))
    with pytest.raises(Denial) as raised:
        await stage(CALL)
    assert raised.value.code is Code.NOT_PERMITTED


@pytest.mark.parametrize("missing", [Classified, Confined])
async def test_a_call_that_was_not_checked_is_refused_before_the_rules_are_asked(missing: type) -> None:
    stage, policy = judge(YES)
    unchecked = replace(CALL, proofs=tuple(proof for proof in CALL.proofs if not isinstance(proof, missing)))
    with pytest.raises(Denial) as raised:
        await stage(unchecked)
    assert raised.value.code is Code.GATEWAY_FAULT
    assert policy.asked == []


async def test_lists_need_no_classification() -> None:
    stage, policy = judge(replace(YES, unasked=True))
    judged = (await stage(identified(make_call(method="tools/list", params={})))).proof(Judged)
    assert (judged.asking, judged.because) == (Asking.UNASKED, ())
    assert (policy.asked[0].action, policy.asked[0].kind, policy.asked[0].risk) == (Action.LIST, None, Risk.READ)


async def test_the_rules_are_asked_about_what_the_earlier_stages_found() -> None:
    stage, policy = judge(YES)
    await stage(CALL)
    (request,) = policy.asked
    assert (request.client, request.server, request.kind, request.subject) == (
        "tests",
        "files",
        ItemKind.TOOL,
        "write_file",
    )
    assert (request.risk, request.paths, request.hosts, request.tables) == (
        Risk.WRITE,
        ("/srv/a",),
        ("example.org",),
        ("orders",),
    )
    # The signs of the rules are those of an answer (contract, Rules), which is not there yet.
    assert (request.signs, request.now) == ((), START)


async def test_the_person_is_told_why_they_are_asked() -> None:
    stage, _ = judge(YES)
    judged = (await stage(CALL)).proof(Judged)
    assert judged.asking is Asking.ASK
    assert judged.because == ("It may change something.", "No rule lets it pass without asking.")
    stage, _ = judge(replace(YES, asked_by=(RuleId("ask-writes"),)))
    assert (await stage(CALL)).proof(Judged).because[1] == "The rule ask-writes wants it asked."


async def test_a_permit_without_asking_is_kept_in_the_proof() -> None:
    stage, _ = judge(Decision(permitted=True, unasked=True, forbidden=False, rules=(RuleId("tests"),)))
    judged = (await stage(CALL)).proof(Judged)
    assert (judged.asking, judged.rules, judged.because) == (Asking.UNASKED, ("tests",), ())


async def test_what_a_server_asks_of_a_client_is_about_the_server() -> None:
    stage, policy = judge(YES)
    call = identified(make_call(method="elicitation/create", params={"message": "?"}))
    call = replace(call, direction=Direction.TO_CLIENT).proved(CLASSIFIED).proved(Confined())
    await stage(call)
    assert (policy.asked[0].action, policy.asked[0].kind) == (Action.ASK_PERSON, None)
