"""A server of 2026-07-28 asks a client of the handshake era; log levels reach either."""

from pathlib import Path

import pytest

from tests.gateway.behind import raw_server
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.rounds import MAX_ROUNDS, in_rounds

ABLE = {"elicitation": {}}


async def test_what_a_modern_server_asks_goes_through_the_gate_to_an_older_client() -> None:
    behind = raw_server("modern-asking")
    await behind.approve()
    result = await behind.send(client_capabilities=ABLE)
    assert result["echo"]["inputResponses"] == {"who": {"action": "accept", "content": {"name": "Ada"}}}
    assert result["echo"]["requestState"] == "é 1"
    assert "resultType" not in result
    assert [asked.method for asked in behind.person.asked] == ["elicitation/create"]
    await behind.close()


async def test_an_older_client_that_cannot_be_asked_is_not() -> None:
    behind = raw_server("modern-asking")
    await behind.approve()
    with pytest.raises(Denial) as refused:
        await behind.send()
    assert refused.value.code is Code.SERVER_UNAVAILABLE
    assert behind.person.asked == []
    await behind.close()


@pytest.mark.parametrize("requests", [{"a": {"method": 1}}, {"a": 1}, [], {str(n): {} for n in range(17)}])
async def test_what_is_no_question_is_refused(requests: object) -> None:
    async def send(params: JsonObject) -> Reply:
        return Reply(body={"resultType": "input_required", "inputRequests": requests})  # type: ignore[dict-item]

    with pytest.raises(Denial) as refused:
        await in_rounds(None, {}, send, never)  # type: ignore[arg-type]
    assert refused.value.code is Code.BLOCKED_CONTENT


async def test_a_server_that_never_has_enough_is_given_up() -> None:
    sent: list[JsonObject] = []

    async def send(params: JsonObject) -> Reply:
        sent.append(params)
        return Reply(body={"resultType": "input_required", "requestState": "more"})

    with pytest.raises(Denial):
        await in_rounds(None, {}, send, never)  # type: ignore[arg-type]
    assert len(sent) == MAX_ROUNDS


async def never(method: str, params: JsonObject, call: Call) -> Reply:
    raise AssertionError(method)


@pytest.mark.parametrize("era", list(Era))
async def test_an_older_server_is_told_the_level_that_the_client_wants_once(tmp_path: Path, era: Era) -> None:
    trace = tmp_path / "trace"
    behind = raw_server("good", str(trace))
    await behind.approve()
    for _ in range(2):
        await behind.send(era=era, log_level="warning")
    assert trace.read_text().count("level warning") == 1
    await behind.close()
