import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.behind import RAW, Behind, SilentChannel, command, raw_server, until
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.offer import Era, ItemKind

Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    opened: list[Behind] = []

    async def begin(mode: str, *arguments: str, approved: bool = True, **limits: Any) -> Behind:
        behind = raw_server(mode, *arguments, **limits)
        opened.append(behind)
        if approved:
            await behind.approve()
        return behind

    yield begin
    for behind in opened:
        await behind.close()


async def refused(behind: Behind, **changes: Any) -> Denial:
    with pytest.raises(Denial) as caught:
        await behind.send(**changes)
    return caught.value


async def test_a_server_that_is_not_approved_is_not_started(start: Start) -> None:
    approved = await start("good")
    await approved.approve()
    call = approved.call()
    behind = await start("good", approved=False)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.send(call)
    assert caught.value.code is Code.NOT_PERMITTED
    assert behind.sandbox.launches == []


async def test_nothing_is_started_when_it_cannot_be_recorded(start: Start) -> None:
    behind = await start("good")
    before = len(behind.sandbox.launches)
    behind.ledger.broken = True
    assert (await refused(behind)).code is Code.GATEWAY_FAULT
    assert len(behind.sandbox.launches) == before


async def test_results_pass_raw(start: Start) -> None:
    behind = await start("good")
    params = {"name": "echo", "arguments": {}, "unknown": None, "n": 2**80}
    result = await behind.send(params=params)
    assert result["echo"] == params
    assert result["null"] is None
    assert result["big"] == 2**70


async def test_two_clients_never_share_a_process(start: Start) -> None:
    behind = await start("good")
    mine, again, theirs = await behind.send(), await behind.send(), await behind.send(client="other")
    assert mine["pid"] == again["pid"] != theirs["pid"]
    assert [mine["calls"], again["calls"], theirs["calls"]] == [1, 2, 1]


async def test_progress_comes_in_order_under_the_clients_own_token(start: Start) -> None:
    behind = await start("good")
    channel = SilentChannel()
    params = {"name": "echo", "arguments": {}, "_meta": {"progressToken": 5, "mine": 1}}
    result = await behind.send(params=params, channel=channel)
    assert [p["progress"] for _, p in channel.seen if p] == [0, 1, 2]
    assert {p["progressToken"] for _, p in channel.seen if p} == {5}
    assert result["echo"]["_meta"]["progressToken"].startswith("gw-")
    assert result["echo"]["_meta"]["mine"] == 1


CHANGED = ["title", "description", "enum", "annotations", "outputSchema", "icons", "meta"]


@pytest.mark.attack("T2")
@pytest.mark.promise("R5")
@pytest.mark.parametrize("what", CHANGED)
async def test_a_tool_that_changed_is_not_called_until_it_is_approved_again(
    start: Start, tmp_path: Path, what: str
) -> None:
    trace = tmp_path / "trace"
    behind = await start(f"rug-{what}", str(trace))
    call = behind.call()
    await behind.upstreams.send(call)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.send(call)
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL
    assert len(trace.read_text().splitlines()) == 1
    assert behind.catalogue.approval(behind.server.name) == "changed"
    behind.catalogue.approve_offer(behind.server.name, await behind.upstreams.probe(behind.server, behind.runtime))
    assert behind.catalogue.approval(behind.server.name) == "approved"


@pytest.mark.attack("T2")
async def test_a_change_that_is_announced_is_known_before_anybody_is_asked_about_the_next_call(
    start: Start, tmp_path: Path
) -> None:
    behind = await start("rug-title", str(tmp_path / "trace"))
    await behind.upstreams.send(behind.call())
    await until(lambda: behind.catalogue.approval(behind.server.name) == "changed")


@pytest.mark.attack("T2")
async def test_a_change_that_is_not_announced_is_seen_with_the_next_look(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("rug-quiet", str(trace))
    call = behind.call()
    await behind.upstreams.send(call)
    await behind.clock.advance(31)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.send(call)
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL
    assert len(trace.read_text().splitlines()) == 1


@pytest.mark.attack("T2")
async def test_changed_instructions_refuse_every_tool_after_a_restart(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("rug-instructions", str(trace))
    call = behind.call()
    await behind.upstreams.send(call)
    await behind.upstreams.stop()
    with pytest.raises(Denial) as caught:
        await behind.upstreams.send(call)
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL
    assert len(trace.read_text().splitlines()) == 1


@pytest.mark.attack("T2")
async def test_another_order_of_keys_is_no_change(start: Start) -> None:
    behind = await start("reordered")
    await behind.send()
    await behind.clock.advance(31)
    assert (await behind.send())["calls"] == 2


@pytest.mark.attack("T3")
async def test_a_program_that_was_replaced_is_not_started(start: Start, tmp_path: Path) -> None:
    behind = await start("good")
    script = tmp_path / "server.py"
    script.write_text(Path(RAW).read_text())
    argv = (sys.executable, str(script), "good")
    behind.runtime = type(behind.runtime)(argv=argv, mounts=(script,))
    await behind.approve()
    call = behind.call()
    started = len(behind.sandbox.launches)
    script.write_text(script.read_text() + "\n# bcc\n")
    with pytest.raises(Denial) as caught:
        await behind.upstreams.send(call)
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL
    assert len(behind.sandbox.launches) == started


@pytest.mark.attack("N9")
async def test_rubbish_and_forged_answers_are_dropped_counted_and_recorded(start: Start) -> None:
    behind = await start("rubbish")
    channel = SilentChannel()
    result = await behind.send(channel=channel)
    assert result["calls"] == 1
    assert channel.seen == []
    await behind.upstreams.stop()
    dropped = {row.body.get("what") for row in behind.ledger.rows if row.body["event"] == "dropped"}
    assert dropped == {"not-a-message", "answer-to-nothing", "progress-of-nothing"}
    assert "forged" not in repr(behind.ledger.rows)


@pytest.mark.attack("N8")
async def test_a_line_without_an_end_ends_that_server_alone(start: Start) -> None:
    behind, other = await start("huge", result_bytes=1_000_000), await start("good")
    assert (await refused(behind)).code is Code.TOO_LARGE
    assert (await other.send())["calls"] == 1
    await until(lambda: not behind.upstreams.running(*_key(behind)))


@pytest.mark.attack("N8")
async def test_a_flood_fails_its_own_call_and_nothing_else(start: Start) -> None:
    behind, other = await start("flood"), await start("good")
    flooding = asyncio.create_task(refused(behind, channel=_Stuck()))
    assert (await other.send())["calls"] == 1
    assert (await flooding).code is Code.SERVER_UNAVAILABLE


@pytest.mark.attack("N8")
async def test_more_tools_than_a_person_could_approve_are_refused(start: Start) -> None:
    behind = await start("million", approved=False)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.probe(behind.server, behind.runtime)
    assert caught.value.code is Code.TOO_LARGE


async def test_a_server_that_dies_in_mid_call_fails_that_call_and_starts_again(start: Start) -> None:
    behind = await start("dying")
    assert (await refused(behind)).code is Code.SERVER_UNAVAILABLE
    await until(lambda: not behind.upstreams.running(*_key(behind)))
    assert (await refused(behind)).code is Code.SERVER_UNAVAILABLE
    starts = len(behind.sandbox.launches)
    await until(lambda: not behind.upstreams.running(*_key(behind)))
    held_back = await refused(behind)
    assert "in a row" in held_back.reason
    assert len(behind.sandbox.launches) == starts
    await behind.clock.advance(60)
    await refused(behind)
    assert len(behind.sandbox.launches) == starts + 1


async def test_a_server_that_refuses_to_start_leaves_its_last_words(start: Start) -> None:
    behind = await start("refusing", approved=False)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.probe(behind.server, behind.runtime)
    assert caught.value.code is Code.SERVER_UNAVAILABLE
    assert re.fullmatch(r"the server ended by itself, with exit status \d+", caught.value.reason)
    assert behind.upstreams.log(behind.server.name)[-1] == "no licence⟦U+001B⟧[2J"


async def test_a_mute_server_is_given_up_in_time_and_ended(start: Start) -> None:
    behind = await start("mute", approved=False, start_s=0.5)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.probe(behind.server, behind.runtime)
    assert caught.value.code is Code.SERVER_UNAVAILABLE
    for child in behind.sandbox.children:
        assert await child.wait() != 0


async def test_a_slow_call_is_refused_and_the_server_told(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("slow", str(trace), call_s=0.3)
    assert (await refused(behind)).code is Code.TOO_SLOW
    await until(lambda: trace.exists() and "cancelled" in trace.read_text())


async def test_a_call_that_is_given_up_is_cancelled_at_the_server(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("slow", str(trace))
    task = asyncio.create_task(behind.send())
    await until(trace.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: "cancelled" in trace.read_text())


async def test_the_clock_of_a_call_stands_still_while_the_person_is_asked(start: Start, tmp_path: Path) -> None:
    behind = await start("asking", folder=tmp_path, call_s=1.0)
    behind.person.wait.clear()
    task = asyncio.create_task(behind.send(client_capabilities={"elicitation": {}}))
    await until(lambda: bool(behind.person.asked))
    done, _ = await asyncio.wait({task}, timeout=1.5)
    assert not done
    behind.person.wait.set()
    result = await task
    assert result["person"] == {"action": "accept", "content": {"name": "Ada"}}
    assert result["roots"] == {"roots": [{"uri": tmp_path.as_uri(), "name": tmp_path.name}]}
    assert behind.person.asked[0].method == "elicitation/create"
    assert behind.person.asked[0].proofs == ()


@pytest.mark.parametrize(("era", "capabilities"), [(Era.LEGACY, {}), (Era.MODERN, {}), (Era.MODERN, {"sampling": {}})])
async def test_a_client_that_cannot_be_asked_is_not(
    start: Start, tmp_path: Path, era: Era, capabilities: dict[str, Any]
) -> None:
    behind = await start("asking", folder=tmp_path)
    result = await behind.send(era=era, client_capabilities=capabilities)
    assert result["person"]["code"] == -32601
    assert behind.person.asked == []


async def test_a_tool_that_a_server_keeps_from_one_client_stays_for_another(start: Start) -> None:
    behind = await start("picky")
    assert (await refused(behind)).code is Code.CHANGED_SINCE_APPROVAL
    assert (await behind.send(client="other", client_capabilities={"elicitation": {}}))["calls"] == 1


async def test_stop_leaves_no_process(start: Start) -> None:
    behind = await start("good")
    pid = (await behind.send())["pid"]
    assert behind.upstreams.running(*_key(behind))
    await behind.upstreams.stop(server=behind.server.name)
    assert not behind.upstreams.running(*_key(behind))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_changed_limits_stop_calls_until_they_are_approved(start: Start) -> None:
    behind = await start("good")
    call = behind.call()
    behind.book.server = raw_server("good", call_s=5.0).server
    with pytest.raises(Denial) as caught:
        await behind.upstreams.send(call)
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL


@pytest.mark.parametrize("era", list(Era))
async def test_a_real_server_answers_in_both_eras(era: Era) -> None:
    behind = command(str(Path(sys.executable).parent / "mcp-server-time"))
    try:
        await behind.approve()
        offer = behind.catalogue.offer(behind.server.name)
        assert offer.modern
        assert offer.legacy
        assert offer.find(ItemKind.TOOL, "get_current_time")
        params = {"name": "get_current_time", "arguments": {"timezone": "UTC"}}
        result = await behind.send(era=era, params=params)
        assert "UTC" in result["content"][0]["text"]
        assert result.get("resultType") == ("complete" if era is Era.MODERN else None)
    finally:
        await behind.close()


class _Stuck(SilentChannel):
    async def notify(self, method: str, params: Any) -> None:
        await asyncio.Event().wait()


def _key(behind: Behind) -> Any:
    return behind.call().principal.client, behind.server.name
