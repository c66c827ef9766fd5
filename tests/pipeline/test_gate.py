"""The gate."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fakes import FakeLedger, make_call, make_digester
from tests.pipeline.conftest import World
from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject, map_strings
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import CallId, ClientName
from ztmcp_desktop.pipeline.gate import MAX_CALLS_A_CLIENT, ON_RECORD, CallGate, Chains, OnRecord
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.ports import Stage


async def answers(call: Call) -> Call:
    return replace(call, reply=Reply(body={"ok": True}))


class SlowLedger(FakeLedger):
    """Rows are on disk once `disk` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = asyncio.Event()

    async def append(self, draft: Draft) -> int:
        await self.disk.wait()
        return await super().append(draft)


async def refuses(call: Call) -> Call:
    raise Denial(Code.REFUSED_BY_RULE, "a rule forbids it")


async def breaks(call: Call) -> Call:
    raise ValueError("with a secret value in it")


async def waits(call: Call) -> Call:
    await asyncio.Event().wait()
    return call


def redact(value: JsonObject) -> JsonObject:
    return map_strings(value, lambda text: text.replace("ada@example.org", "masked"))


async def stands_still(call: Call) -> Call:
    return call


def gate(world: World, *stages: Stage | OnRecord, ledger: FakeLedger | None = None) -> CallGate:
    return CallGate(
        chains=Chains(full=stages, listing=(refuses,), to_client=(refuses,)),
        recorder=Recorder(lambda value: value, make_digester()),
        ledger=ledger or world.ledger,
        lockdown=world.lockdown,
        clock=world.clock,
    )


async def denied(run: CallGate, call: Call | None = None) -> Code:
    with pytest.raises(Denial) as refused:
        await run.run(call or make_call())
    return refused.value.code


def endings(world: World) -> list[tuple[EntryKind, Outcome | None, Code | None]]:
    return [(row.kind, row.outcome, row.code) for row in world.ledger.rows]


@pytest.mark.attack("C12")
async def test_without_a_row_nothing_is_done(world: World) -> None:
    world.ledger.broken = True
    seen: list[Call] = []

    async def sees(call: Call) -> Call:
        seen.append(call)
        return await answers(call)

    assert await denied(gate(world, sees)) is Code.GATEWAY_FAULT
    assert seen == []


def sees(seen: list[str], name: str) -> Stage:
    async def stage(call: Call) -> Call:
        seen.append(name)
        return await answers(call)

    return stage


@pytest.mark.attack("C12")
async def test_a_call_is_looked_at_while_its_row_is_written_and_nothing_else_is_done(world: World) -> None:
    ledger, seen = SlowLedger(), list[str]()
    task = asyncio.create_task(
        gate(world, sees(seen, "look"), ON_RECORD, sees(seen, "do"), ledger=ledger).run(make_call())
    )
    await asyncio.sleep(0.01)
    assert seen == ["look"]
    ledger.disk.set()
    await task
    assert seen == ["look", "do"]


@pytest.mark.attack("C12")
async def test_a_row_that_fails_while_the_call_is_looked_at_stops_it(world: World) -> None:
    ledger, seen = SlowLedger(), list[str]()
    ledger.broken = True
    run = gate(world, sees(seen, "look"), ON_RECORD, sees(seen, "do"), ledger=ledger)
    asyncio.get_running_loop().call_later(0.01, ledger.disk.set)
    assert await denied(run) is Code.GATEWAY_FAULT
    assert seen == ["look"]


@pytest.mark.attack("C12")
async def test_a_refusal_while_the_row_is_written_is_on_record_before_it_is_told(world: World) -> None:
    ledger = SlowLedger()
    task = asyncio.create_task(denied(gate(world, refuses, ON_RECORD, answers, ledger=ledger)))
    await asyncio.sleep(0.01)
    assert not task.done()
    ledger.disk.set()
    assert await task is Code.REFUSED_BY_RULE
    assert [row.kind for row in ledger.rows] == [EntryKind.OPENED, EntryKind.CLOSED]


@pytest.mark.attack("C12")
async def test_a_call_given_up_while_its_row_is_written_is_opened_and_closed(world: World) -> None:
    ledger, seen = SlowLedger(), list[str]()
    task = asyncio.create_task(gate(world, ON_RECORD, sees(seen, "do"), ledger=ledger).run(make_call()))
    await asyncio.sleep(0.01)
    task.cancel()
    asyncio.get_running_loop().call_later(0.01, ledger.disk.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == []
    assert [(row.kind, row.code) for row in ledger.rows] == [
        (EntryKind.OPENED, None),
        (EntryKind.CLOSED, Code.WITHDRAWN),
    ]


@pytest.mark.attack("C12")
async def test_an_answer_whose_closing_row_fails_does_not_leave(world: World) -> None:
    async def breaks_the_ledger(call: Call) -> Call:
        world.ledger.broken = True
        return await answers(call)

    assert await denied(gate(world, breaks_the_ledger)) is Code.GATEWAY_FAULT


@pytest.mark.allow_log("failed in ValueError")
async def test_an_exception_in_a_stage_is_a_no_without_its_text(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert await denied(gate(world, breaks, answers)) is Code.GATEWAY_FAULT
    assert endings(world)[-1] == (EntryKind.CLOSED, Outcome.FAILED, Code.GATEWAY_FAULT)
    assert "secret value" not in caplog.text
    assert "secret value" not in str(world.ledger.rows)


async def test_a_refusal_ends_the_chain_and_is_recorded(world: World) -> None:
    assert await denied(gate(world, refuses, answers)) is Code.REFUSED_BY_RULE
    assert endings(world) == [
        (EntryKind.OPENED, None, None),
        (EntryKind.CLOSED, Outcome.DENIED, Code.REFUSED_BY_RULE),
    ]


async def test_a_chain_that_gives_no_answer_is_a_fault(world: World) -> None:
    assert await denied(gate(world, stands_still)) is Code.GATEWAY_FAULT


async def test_an_unknown_method_goes_the_whole_way(world: World) -> None:
    reply = await gate(world, answers).run(make_call(method="vendor/unknown", params={}))
    assert reply.body == {"ok": True}


async def test_a_request_of_a_server_never_takes_the_clients_way(world: World) -> None:
    call = replace(make_call(), direction=Direction.TO_CLIENT)
    assert await denied(gate(world, answers), call) is Code.REFUSED_BY_RULE


@pytest.mark.attack("C13")
async def test_when_locked_nothing_passes(world: World) -> None:
    world.lockdown.locked = True
    assert await denied(gate(world, answers)) is Code.LOCKED_DOWN
    assert endings(world)[-1] == (EntryKind.CLOSED, Outcome.DENIED, Code.LOCKED_DOWN)


async def running(world: World, run: CallGate) -> "asyncio.Task[Reply]":
    task = asyncio.create_task(run.run(make_call()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert run.in_flight() == 1
    return task


@pytest.mark.attack("C13")
async def test_a_lock_ends_what_is_in_flight(world: World) -> None:
    run = gate(world, waits)
    task = await running(world, run)
    world.lockdown.locked = True
    await run.abort(lambda call: True)
    with pytest.raises(Denial) as refused:
        await task
    assert refused.value.code is Code.LOCKED_DOWN


async def test_a_client_that_gives_up_is_recorded_as_withdrawn(world: World) -> None:
    task = await running(world, gate(world, waits))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert endings(world)[-1] == (EntryKind.CLOSED, Outcome.FAILED, Code.WITHDRAWN)


async def test_revocation_ends_only_the_calls_that_match(world: World) -> None:
    run = gate(world, waits)
    task = await running(world, run)
    nobody: Callable[[Call], bool] = lambda call: call.principal.client == "someone-else"  # noqa: E731
    await run.abort(nobody)
    assert run.in_flight() == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_rows_hold_what_redact_leaves(world: World) -> None:
    run = CallGate(
        chains=Chains(full=(refuses,), listing=(), to_client=()),
        recorder=Recorder(redact, make_digester()),
        ledger=world.ledger,
        lockdown=world.lockdown,
        clock=world.clock,
    )
    await denied(run, make_call("mail", {"to": "ada@example.org"}))
    assert "ada@example.org" not in str(world.ledger.rows)
    assert "masked" in str(world.ledger.rows[0].body)


async def test_a_client_that_gives_up_while_the_first_row_is_written_leaves_no_open_call(world: World) -> None:
    reached = asyncio.Event()
    go_on = asyncio.Event()
    append = world.ledger.append

    async def slow(draft: Draft) -> int:
        reached.set()
        await go_on.wait()
        return await append(draft)

    world.ledger.append = slow  # type: ignore[method-assign]
    task = asyncio.create_task(gate(world, answers).run(make_call()))
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert endings(world) == [(EntryKind.OPENED, None, None), (EntryKind.CLOSED, Outcome.FAILED, Code.WITHDRAWN)]


@pytest.mark.attack("C12", "P10")
@pytest.mark.allow_log("failed in RecursionError")
async def test_an_ending_that_cannot_be_recorded_whole_is_recorded_bare_and_nothing_leaves(world: World) -> None:
    def breaks_on_answers(value: JsonObject) -> JsonObject:
        if "ok" in value.get("body", {}).get("result", {}):
            raise RecursionError("with a secret value in it")
        return value

    run = CallGate(
        chains=Chains(full=(answers,), listing=(), to_client=()),
        recorder=Recorder(breaks_on_answers, make_digester()),
        ledger=world.ledger,
        lockdown=world.lockdown,
        clock=world.clock,
    )
    assert await denied(run) is Code.GATEWAY_FAULT
    assert endings(world) == [(EntryKind.OPENED, None, None), (EntryKind.CLOSED, Outcome.FAILED, Code.GATEWAY_FAULT)]
    assert "secret value" not in str(world.ledger.rows)


@pytest.mark.attack("C12")
@pytest.mark.allow_log("failed in RecursionError")
async def test_a_call_that_cannot_be_recorded_at_its_opening_is_refused(world: World) -> None:
    def breaks_always(value: JsonObject) -> JsonObject:
        raise RecursionError("with a secret value in it")

    run = CallGate(
        chains=Chains(full=(answers,), listing=(), to_client=()),
        recorder=Recorder(breaks_always, make_digester()),
        ledger=world.ledger,
        lockdown=world.lockdown,
        clock=world.clock,
    )
    assert await denied(run) is Code.GATEWAY_FAULT
    assert world.ledger.rows == []


@pytest.mark.attack("C8")
async def test_what_a_server_asks_during_a_call_ends_with_the_call(world: World) -> None:
    run = CallGate(
        chains=Chains(full=(waits,), listing=(), to_client=(waits,)),
        recorder=Recorder(lambda value: value, make_digester()),
        ledger=world.ledger,
        lockdown=world.lockdown,
        clock=world.clock,
    )
    call = make_call()
    task = asyncio.create_task(run.run(call))
    asked = asyncio.create_task(run.run(replace(call, id=CallId("asked"), direction=Direction.TO_CLIENT)))
    stranger = asyncio.create_task(run.run(replace(make_call(), direction=Direction.TO_CLIENT)))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(Denial) as refused:
        async with asyncio.timeout(5):
            await asked
    assert refused.value.code is Code.WITHDRAWN
    assert not stranger.done()
    stranger.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stranger


@pytest.mark.attack("C8")
async def test_a_call_that_is_cancelled_twice_is_still_held_until_its_ending_is_written(world: World) -> None:
    closing, go_on = asyncio.Event(), asyncio.Event()
    append = world.ledger.append

    async def slow(draft: Draft) -> int:
        if draft.kind is EntryKind.CLOSED:
            closing.set()
            await go_on.wait()
        return await append(draft)

    world.ledger.append = slow  # type: ignore[method-assign]
    run = gate(world, waits)
    task = await running(world, run)
    task.cancel()
    await closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.in_flight() == 1
    go_on.set()
    await run.abort(lambda call: True)
    assert run.in_flight() == 0
    assert endings(world)[-1] == (EntryKind.CLOSED, Outcome.FAILED, Code.WITHDRAWN)


@pytest.mark.attack("N7")
async def test_one_client_cannot_take_the_places_of_the_others(world: World) -> None:
    run = gate(world, waits)
    tasks = [asyncio.create_task(run.run(make_call())) for _ in range(MAX_CALLS_A_CLIENT)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert await denied(run) is Code.SERVER_UNAVAILABLE
    assert [cause for cause, _ in world.ledger.rejected] == ["too-many-calls"]
    other = replace(make_call(), principal=replace(make_call().principal, client=ClientName("other")))
    tasks.append(asyncio.create_task(run.run(other)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert run.in_flight() == MAX_CALLS_A_CLIENT + 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
