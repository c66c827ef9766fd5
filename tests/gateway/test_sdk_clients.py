"""The official client, in both eras, over the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from tests.gateway.front import Front, front_door, refuses
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.exchange import Timing

ERAS = [("legacy", Era.LEGACY), ("2026-07-28", Era.MODERN)]


@asynccontextmanager
async def sdk_client(front: Front, mode: str, *, client: str = "tests", **options: Any) -> AsyncIterator[Client]:
    bearer = {"Authorization": f"Bearer {front.token(client)}"}
    async with (
        httpx2.AsyncClient(headers=bearer, timeout=20, trust_env=False) as http,
        Client(streamable_http_client(front.url(), http_client=http), mode=mode, **options) as opened,
    ):
        yield opened


@pytest.mark.parametrize(("mode", "era"), [*ERAS, ("auto", Era.MODERN)])
async def test_the_official_client_lists_and_calls(front: Front, mode: str, era: Era) -> None:
    async with sdk_client(front, mode) as client:
        tools = await client.list_tools()
        result = await client.call_tool("echo", {"text": "hello"})

    assert [tool.name for tool in tools.tools] == ["echo"]
    assert result.content[0].text == "hello"  # type: ignore[union-attr]
    assert front.gate.seen[-1].era is era


@pytest.mark.parametrize(("mode", "era"), ERAS)
async def test_the_official_client_reads_refusals(front: Front, mode: str, era: Era) -> None:
    front.gate.act = refuses(Code.REFUSED_BY_PERSON, "the person said no")

    async with sdk_client(front, mode) as client:
        result = await client.call_tool("echo", {"text": "a"})
        with pytest.raises(MCPError) as error:
            await client.read_resource("file:///x")

    assert result.is_error
    assert "the person said no" in result.content[0].text  # type: ignore[union-attr]
    assert error.value.error.code == -31001


@pytest.mark.attack("C9")
@pytest.mark.parametrize(("mode", "era"), ERAS)
async def test_the_official_client_waits_through_a_long_question(mode: str, era: Era) -> None:
    async with front_door(Timing(quiet_s=0.05)) as front:
        signs: list[float] = []
        enough = asyncio.Event()

        async def act(call: Call) -> Reply:
            await enough.wait()
            return Reply(body={"content": [{"type": "text", "text": "after all"}]})

        async def progress(step: float, total: float | None, message: str | None) -> None:
            signs.append(step)
            if len(signs) == 3:
                enough.set()

        front.gate.act = act
        async with sdk_client(front, mode) as client:
            result = await client.call_tool("echo", {"text": "a"}, progress_callback=progress)

    assert result.content[0].text == "after all"  # type: ignore[union-attr]
    assert signs[:3] == sorted(signs[:3])


async def test_a_server_asks_the_official_client(front: Front) -> None:
    async def act(call: Call) -> Reply:
        params = {"mode": "form", "message": "who?", "requestedSchema": {"type": "object", "properties": {}}}
        answer = await call.channel.request("elicitation/create", params)
        return Reply(body={"content": [{"type": "text", "text": answer["action"]}]})

    async def answer(context: object, params: object) -> ElicitResult:
        return ElicitResult(action="decline")

    front.gate.act = act
    async with sdk_client(front, "legacy", elicitation_callback=answer) as client:
        result = await client.call_tool("echo", {"text": "a"})

    assert result.content[0].text == "decline"  # type: ignore[union-attr]


@pytest.mark.attack("N6")
async def test_clients_of_both_eras_with_equal_ids_never_get_each_others_answers(front: Front) -> None:
    front.token("other", "files")

    async def act(call: Call) -> Reply:
        await asyncio.sleep(0)
        text = f"{call.principal.client} {call.arguments['text']}"
        return Reply(body={"content": [{"type": "text", "text": text}]})

    front.gate.act = act
    async with (
        sdk_client(front, "legacy") as a,
        sdk_client(front, "legacy", client="other") as b,
        sdk_client(front, "2026-07-28", client="other") as c,
    ):
        for number in range(20):
            results = await asyncio.gather(*(each.call_tool("echo", {"text": str(number)}) for each in (a, b, c)))
            texts = [result.content[0].text for result in results]  # type: ignore[union-attr]
            assert texts == [f"{name} {number}" for name in ("tests", "other", "other")]
