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
from ztmcp_desktop.pipeline.gate import CallGate, Chains
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.ports import Stage


async def answers(call: Call) -> Call:
    return replace(call, reply=Reply(body={"ok": True}))


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


def gate(world: World, *stages: Stage, ledger: FakeLedger | None = None) -> CallGate:
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
