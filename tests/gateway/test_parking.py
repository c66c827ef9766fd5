"""A server of the handshake era asks a client of 2026-07-28 through the answers to its requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import PRINCIPAL, make_call
from tests.gateway.behind import Behind, raw_server, until
from ztmcp_desktop.domain.call import Reply
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway import parking
from ztmcp_desktop.gateway.parking import ParkedChannel, Parking

Start = Callable[..., Awaitable[Behind]]
ABLE = {"elicitation": {"form": {}, "url": {}}}
CALL = {"name": "echo", "arguments": {"how": "low"}}
ADA = {"action": "accept", "content": {"name": "Ada"}}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    opened: list[Behind] = []

    async def one(mode: str, *arguments: str) -> Behind:
        behind = raw_server(mode, *arguments)
        opened.append(behind)
        await behind.approve()
        return behind

    yield one
    for behind in opened:
        await behind.close()


async def ask(behind: Behind, **changes: Any) -> JsonObject:
    return await behind.send(era=Era.MODERN, client_capabilities=ABLE, **changes)


def resumed(first: JsonObject, *answers: JsonObject, **changes: Any) -> JsonObject:
    responses = dict(zip(first["inputRequests"], answers, strict=False))
    return {**CALL, "inputResponses": responses, "requestState": first["requestState"], **changes}


async def test_a_question_becomes_an_answer_and_the_next_request_goes_on(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("curious", str(trace))
    first = await ask(behind)
    assert first["resultType"] == "input_required"
    assert [asked["params"]["message"] for asked in first["inputRequests"].values()] == ["Who?"]
    second = await ask(behind, params=resumed(first, ADA))
    assert [asked["params"]["message"] for asked in second["inputRequests"].values()] == ["Why?"]
    last = await ask(behind, params=resumed(second, {"action": "decline"}))
    assert (last["resultType"], last["echo"]["name"]) == ("complete", "echo")
    assert "inputResponses" not in last["echo"]
    assert trace.read_text().count("Ada") == 1
    assert '{"action": "decline"}' in trace.read_text()


@pytest.mark.parametrize(
    ("client", "changes"),
    [
        ("other", {}),
        ("tests", {"arguments": {"how": "loud"}}),
        ("tests", {"requestState": "0" * 48}),
        ("tests", {"requestState": {"a": 1}}),
    ],
)
async def test_a_state_is_good_for_one_client_and_one_request(
    start: Start, tmp_path: Path, client: str, changes: dict[str, Any]
) -> None:
    trace = tmp_path / "trace"
    behind = await start("curious", str(trace))
    first = await ask(behind)
    forged = await ask(behind, client=client, params=resumed(first, ADA, **changes))
    assert forged["code"] == -32602
    assert "Ada" not in trace.read_text()
    assert (await ask(behind, params=resumed(first, ADA)))["resultType"] == "input_required"


async def test_a_state_is_good_once(start: Start) -> None:
    behind = await start("curious")
    first = await ask(behind)
    await ask(behind, params=resumed(first, ADA))
    assert (await ask(behind, params=resumed(first, ADA)))["code"] == -32602


async def test_what_was_not_answered_is_asked_again(start: Start) -> None:
    behind = await start("curious")
    first = await ask(behind)
    again = await ask(behind, params=resumed(first))
    assert again["inputRequests"] == first["inputRequests"]
    assert again["requestState"] != first["requestState"]


async def test_a_client_that_does_not_come_back_is_given_up_and_the_server_told(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("curious", str(trace))
    behind.upstreams._parking = Parking(wait_s=0.2)
    first = await ask(behind)
    await until(lambda: "cancelled" in trace.read_text())
    await until(lambda: len(behind.upstreams._parking) == 0)
    assert (await ask(behind, params=resumed(first, ADA)))["code"] == -32602


async def test_too_many_calls_that_wait_are_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED", 1)
    behind = await start("curious")
    first = await ask(behind)
    with pytest.raises(Denial):
        await ask(behind, client="other")
    assert (await ask(behind, params=resumed(first, ADA)))["resultType"] == "input_required"


async def test_the_oldest_call_of_a_client_makes_room_for_its_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED_A_CLIENT", 1)
    parked, stopped = Parking(), []

    async def one(client: str, text: str, **resumed: Any) -> JsonObject:
        async def start(channel: ParkedChannel, params: JsonObject) -> Reply:
            try:
                return await channel.ask("elicitation/create", {"message": text})
            except asyncio.CancelledError:
                stopped.append(text)
                raise

        params = {**CALL, **resumed}
        principal = replace(PRINCIPAL, client=ClientName(client))
        return (await parked.run(make_call(params=params, principal=principal), start, params)).body

    others, given_up, latest = await one("other", "theirs"), await one("tests", "first"), await one("tests", "second")
    await until(lambda: stopped == ["first"])
    assert (await one("tests", "", **resumed(given_up, ADA)))["code"] == -32602
    assert await one("tests", "", **resumed(latest, ADA)) == ADA
    assert await one("other", "", **resumed(others, ADA)) == ADA


async def test_stopping_the_server_ends_what_is_parked(start: Start) -> None:
    behind = await start("curious")
    first = await ask(behind)
    await behind.upstreams.stop()
    await until(lambda: len(behind.upstreams._parking) == 0)
    assert (await ask(behind, params=resumed(first, ADA)))["code"] == -32602


async def test_an_address_that_a_server_wants_opened_is_asked_in_the_answer(start: Start) -> None:
    behind = await start("paywall")
    first = await ask(behind)
    (asked,) = first["inputRequests"].values()
    assert asked["params"] == {"mode": "url", "url": "https://example.invalid/pay", "message": "Pay"}
    assert (await ask(behind, params=resumed(first, {"action": "accept"})))["calls"] == 2


async def test_a_declined_address_fails_the_call(start: Start) -> None:
    behind = await start("paywall")
    first = await ask(behind)
    assert (await ask(behind, params=resumed(first, {"action": "decline"})))["code"] == -32603


async def test_a_client_that_opens_no_addresses_hears_what_it_would_need(start: Start) -> None:
    behind = await start("paywall")
    failure = await behind.send(era=Era.MODERN, client_capabilities={"elicitation": {"form": {}}})
    assert (failure["code"], failure["data"]) == (-32021, {"requiredCapabilities": {"elicitation": {"url": {}}}})


async def test_a_call_that_is_withdrawn_while_the_server_works_is_cancelled_there(start: Start, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    behind = await start("slow", str(trace))
    task = asyncio.create_task(ask(behind))
    await until(trace.exists)
    task.cancel()
    await until(lambda: "cancelled" in trace.read_text())
