"""The stream of a client of 2026-07-28: what is agreed to, and how it ends."""

import asyncio
from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import FakeClock, FakeUpstreams, SilentChannel, identified, make_call
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.proof import Asking, Judged
from ztmcp_desktop.domain.subscription import ACKNOWLEDGED, RESOURCES, SUBSCRIBE, SUBSCRIPTION_ID, UPDATED
from ztmcp_desktop.pipeline.gate import Chains
from ztmcp_desktop.pipeline.listen import MAX_RESOURCES, Listen

TOOLS = "notifications/tools/list_changed"
ALL = frozenset({"toolsListChanged", "promptsListChanged", "resourcesListChanged", RESOURCES})
A, B = "file:///a", "file:///b"


class PlayedStream:
    """Says what the test put in, then ends."""

    def __init__(self, offered: frozenset[str], *said: tuple[str, JsonObject]) -> None:
        self.offered = offered
        self.said = deque(said)
        self.agreed: frozenset[str] | None = None
        self.closed = False

    def tell(self, method: str, params: JsonObject) -> None:
        self.said.append((method, params))

    def agree(self, flags: frozenset[str]) -> None:
        self.agreed = flags

    async def next(self) -> tuple[str, JsonObject]:
        if self.said:
            return self.said.popleft()
        raise Denial(Code.SERVER_UNAVAILABLE, "the server ended")

    def close(self) -> None:
        self.closed = True


class OneStream(FakeUpstreams):
    def __init__(self, stream: PlayedStream) -> None:
        super().__init__()
        self.stream = stream

    def listen(self, call: Call) -> PlayedStream:
        return self.stream


class PlayedGate:
    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.seen: list[Call] = []

    async def run(self, call: Call) -> Reply:
        self.seen.append(call)
        if call.params["uri"] in self.refused:
            raise Denial(Code.REFUSED_BY_RULE, "a rule forbids it")
        return Reply(body={}, is_error=call.params["uri"] == "file:///error")


def listening(notifications: Json, number: Any = 7) -> Call:
    params: JsonObject = {"notifications": notifications, "_meta": {SUBSCRIPTION_ID: number}}
    call = replace(make_call(method="subscriptions/listen", params=params), era=Era.MODERN)
    return identified(call).proved(Judged(asking=Asking.UNASKED, rules=()))


async def served(
    notifications: Json, *said: tuple[str, JsonObject], gate: PlayedGate | None = None, offered: frozenset[str] = ALL
) -> tuple[list[tuple[str, JsonObject | None]], PlayedStream, Denial]:
    stream, call = PlayedStream(offered, *said), listening(notifications)
    stage = Listen(OneStream(stream), FakeClock())  # type: ignore[arg-type]
    if gate is not None:
        stage.bind(gate.run)
    with pytest.raises(Denial) as ended:
        await stage(call)
    assert isinstance(call.channel, SilentChannel)
    return call.channel.seen, stream, ended.value


async def test_what_was_not_judged_is_not_listened_to() -> None:
    stream = PlayedStream(ALL)
    with pytest.raises(Denial) as refused:
        await Listen(OneStream(stream), FakeClock())(make_call(method="subscriptions/listen"))  # type: ignore[arg-type]
    assert refused.value.code is Code.GATEWAY_FAULT
    assert stream.agreed is None


@pytest.mark.parametrize(
    "wrong",
    [None, [], "all", {"toolsListChanged": "yes"}, {"toolsListChanged": 1}, {RESOURCES: A}, {RESOURCES: [A, 7]}],
)
async def test_a_filter_that_is_none_is_refused(wrong: Json) -> None:
    seen, stream, why = await served(wrong, gate=PlayedGate())
    assert why.code is Code.SCHEMA_MISMATCH
    assert (seen, stream.agreed) == ([], None)


async def test_more_resources_than_one_stream_may_have_are_refused() -> None:
    gate = PlayedGate()
    uris: list[Json] = [f"file:///{number}" for number in range(MAX_RESOURCES + 1)]
    _, _, why = await served({RESOURCES: uris}, gate=gate)
    assert why.code is Code.TOO_LARGE
    assert gate.seen == []


async def test_a_resource_that_the_client_may_not_read_is_not_subscribed_to() -> None:
    gate = PlayedGate(A)
    seen, _, _ = await served({RESOURCES: [A, B, "file:///error", B]}, gate=gate)
    assert seen == [(ACKNOWLEDGED, {"notifications": {RESOURCES: [B]}, "_meta": {SUBSCRIPTION_ID: 7}})]
    assert [(call.method, call.params, call.proofs) for call in gate.seen] == [
        (SUBSCRIBE, {"uri": uri}, ()) for uri in (A, B, "file:///error")
    ]
    assert len({call.id for call in gate.seen}) == 3


async def test_before_there_is_a_gate_no_resource_is_subscribed_to() -> None:
    seen, _, _ = await served({RESOURCES: [A]})
    assert seen == [(ACKNOWLEDGED, {"notifications": {}, "_meta": {SUBSCRIPTION_ID: 7}})]


async def test_what_the_server_does_not_offer_is_not_agreed_to() -> None:
    gate = PlayedGate()
    wanted: JsonObject = {"toolsListChanged": True, "promptsListChanged": True, "taskIds": ["x"], RESOURCES: [A]}
    seen, stream, _ = await served(wanted, gate=gate, offered=frozenset({"toolsListChanged"}))
    assert seen[0][1] == {"notifications": {"toolsListChanged": True}, "_meta": {SUBSCRIPTION_ID: 7}}
    assert stream.agreed == {"toolsListChanged"}
    assert gate.seen == []


async def test_a_server_that_tells_of_nothing_has_no_such_method() -> None:
    stream = PlayedStream(frozenset())
    call = await Listen(OneStream(stream), FakeClock())(listening({}))  # type: ignore[arg-type]
    assert call.reply is not None
    assert (call.reply.is_error, call.reply.body["code"], stream.closed) == (True, -32601, True)


@pytest.mark.parametrize("number", [7, "listen-1", 0])
async def test_everything_carries_the_id_of_the_request_whatever_the_server_says(number: Any) -> None:
    said = (UPDATED, {"uri": A, "_meta": {SUBSCRIPTION_ID: "gw-9", "mine": 1}})
    stream, call = PlayedStream(ALL, said, (TOOLS, {})), listening({"toolsListChanged": True}, number)
    with pytest.raises(Denial):
        await Listen(OneStream(stream), FakeClock())(call)  # type: ignore[arg-type]
    assert isinstance(call.channel, SilentChannel)
    assert [method for method, _ in call.channel.seen] == [ACKNOWLEDGED, UPDATED, TOOLS]
    assert {params["_meta"][SUBSCRIPTION_ID] for _, params in call.channel.seen if params} == {number}


async def test_it_ends_as_the_stream_does_and_is_closed() -> None:
    _, stream, why = await served({})
    assert (why.code, stream.closed) == (Code.SERVER_UNAVAILABLE, True)


async def test_a_client_that_goes_away_while_it_is_asked_about_leaves_nothing_behind() -> None:
    asked = asyncio.Event()

    async def waits(call: Call) -> Reply:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    stream = PlayedStream(ALL)
    stage = Listen(OneStream(stream), FakeClock())  # type: ignore[arg-type]
    stage.bind(waits)
    work = asyncio.ensure_future(stage(listening({RESOURCES: [A]})))
    await asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert stream.closed


def test_only_the_newer_era_has_streams() -> None:
    async def stage(call: Call) -> Call:
        return call

    async def other(call: Call) -> Call:
        return call

    chains = Chains(full=(), listing=(other,), to_client=(), standing=(stage,))
    call = listening({})
    assert chains.of(call) == (stage,)
    assert chains.of(replace(call, era=Era.LEGACY)) == (other,)
