"""What a server of 2026-07-28 asks of the client in its answer."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import FakeClock, make_call, with_reply
from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.proof import MaskedResult
from ztmcp_desktop.pipeline.input_requests import MAX_INPUT_REQUESTS, InputRequests

ASKS = {"method": "elicitation/create", "params": {"message": "Your name?"}}
SAMPLES = {"method": "sampling/createMessage", "params": {"messages": []}}


class PlayedGate:
    """Refuses what is in `refused`; else asks the channel, as the last stage does."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.seen: list[Call] = []

    async def run(self, call: Call) -> Reply:
        self.seen.append(call)
        if call.method in self.refused:
            raise Denial(Code.NOT_PERMITTED, "no rule permits it")
        return Reply(body=await call.channel.request(call.method, call.params))


def answered(body: JsonObject, *, is_error: bool = False) -> Call:
    return with_reply(make_call(), body, is_error=is_error).proved(MaskedResult(kinds=()))


def asking(**requests: Any) -> Call:
    return answered({"resultType": "input_required", "inputRequests": requests, "requestState": "s"})


def stage(gate: PlayedGate | None) -> InputRequests:
    made = InputRequests(FakeClock())
    if gate is not None:
        made.bind(gate.run)
    return made


async def test_an_answer_that_was_not_masked_does_not_go_on() -> None:
    with pytest.raises(Denial) as refused:
        await stage(PlayedGate())(with_reply(make_call(), {"content": []}))
    assert refused.value.code is Code.GATEWAY_FAULT


async def test_before_there_is_a_gate_nothing_is_asked() -> None:
    with pytest.raises(Denial) as refused:
        await stage(None)(asking(one=ASKS))
    assert refused.value.code is Code.GATEWAY_FAULT


@pytest.mark.attack("T10")
async def test_sampling_that_no_rule_permits_does_not_reach_the_client_in_an_answer() -> None:
    with pytest.raises(Denial) as refused:
        await stage(PlayedGate("sampling/createMessage"))(asking(one=ASKS, two=SAMPLES))
    assert refused.value.code is Code.NOT_PERMITTED


@pytest.mark.attack("T8", "T10")
@pytest.mark.parametrize(
    "requests",
    [
        [],
        "text",
        {"one": "text"},
        {"one": {"method": 7}},
        {"one": {"method": "tools/call", "params": {}}},
        {"one": {"method": "vendor/ask", "params": {}}},
        {"one": {"method": "elicitation/create", "params": []}},
        {f"r{number}": ASKS for number in range(MAX_INPUT_REQUESTS + 1)},
    ],
)
async def test_what_is_no_request_that_a_server_may_make_is_blocked(requests: object) -> None:
    gate = PlayedGate()
    with pytest.raises(Denial) as refused:
        await stage(gate)(answered({"resultType": "input_required", "inputRequests": requests}))
    assert refused.value.code is Code.BLOCKED_CONTENT
    assert gate.seen == []


async def test_each_request_is_judged_as_a_call_of_its_own_the_other_way() -> None:
    gate = PlayedGate()
    call = asking(one=ASKS, two=SAMPLES)
    assert await stage(gate)(call) is call
    assert [(c.method, c.direction, c.params) for c in gate.seen] == [
        ("elicitation/create", Direction.TO_CLIENT, ASKS["params"]),
        ("sampling/createMessage", Direction.TO_CLIENT, SAMPLES["params"]),
    ]
    assert len({call.id, *(c.id for c in gate.seen)}) == 3
    assert all(c.proofs == () and c.reply is None and c.outbound is None for c in gate.seen)


async def test_a_state_without_requests_passes() -> None:
    call = answered({"resultType": "input_required", "requestState": "s"})
    assert await stage(PlayedGate())(call) is call


@pytest.mark.parametrize(
    "call", [answered({"content": []}), answered({"code": 1, "resultType": "input_required"}, is_error=True)]
)
async def test_any_other_answer_passes(call: Call) -> None:
    gate = PlayedGate()
    assert await stage(gate)(replace(call)) == call
    assert gate.seen == []
