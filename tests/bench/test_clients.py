import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.bench.client import Client
from tests.bench.direct import HttpServer, PipesServer
from tests.bench.eras import Era, request, result_of, routing, tool_named
from tests.bench.pipes import PipesClient
from tests.bench.program import ECHO, FAST, Program
from tests.bench.rounds import LARGE, text_of

LYING = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        print("a line of a log", flush=True)
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"tools": [{"name": "echo"}]}}), flush=True)
"""


@asynccontextmanager
async def running(program: Program) -> AsyncIterator[Client]:
    try:
        await program.start()
        yield program.client
    finally:
        await program.stop()


@pytest.mark.parametrize("era", Era)
@pytest.mark.parametrize("script", [ECHO, FAST])
async def test_an_echo_of_any_size_comes_back_over_http(era: Era, script: Path) -> None:
    async with running(HttpServer(era, script)) as client:
        for size in (1, 100, LARGE):
            assert 0 < await client.echo(0, text_of(size)) < 30


@pytest.mark.parametrize("era", Era)
async def test_an_echo_of_any_size_comes_back_over_pipes(era: Era) -> None:
    async with running(PipesServer(era)) as client:
        for size in (1, 100, LARGE):
            assert 0 < await client.echo(0, text_of(size)) < 30


async def test_an_answer_without_the_text_is_no_echo() -> None:
    client = await PipesClient.of(Era.HANDSHAKE, [sys.executable, "-c", LYING])
    await client.open()
    with pytest.raises(ValueError, match="the echo is missing"):
        await client.echo(0, "what was said")
    await client.close()


async def test_a_program_that_ends_is_noticed_at_once() -> None:
    client = await PipesClient.of(Era.HANDSHAKE, [sys.executable, "-c", "import sys; sys.stdin.readline()"])
    with pytest.raises(ConnectionError):
        await client.open()
    await client.close()


async def test_a_connection_that_was_ended_meanwhile_is_made_anew() -> None:
    async with running(HttpServer(Era.STATELESS, FAST)) as client:
        await client.echo(0, "one")
        await client.close()
        assert await client.echo(0, "two") > 0


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import sys; sys.exit('no such thing')")
    with pytest.raises(RuntimeError, match="it ended with 1: no such thing"):
        async with running(HttpServer(Era.HANDSHAKE, script)):
            pass


def test_every_request_of_the_stateless_era_carries_its_envelope_and_says_the_same_in_headers() -> None:
    body = result_of(request(Era.STATELESS, 3, "tools/call", {"name": "echo"}).replace(b'"params"', b'"result"'), 3)
    assert body["name"] == "echo"
    assert body["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert routing(Era.STATELESS, "tools/call", "echo") == {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "echo",
    }
    assert b"_meta" not in request(Era.HANDSHAKE, 3, "tools/call", {"name": "echo"})


def test_an_answer_is_found_among_events_and_an_error_or_another_ones_answer_is_none() -> None:
    events = b'event: message\r\ndata: {"method":"x"}\r\n\r\ndata: {"id":1,"result":{"a":1}}\r\n\r\n'
    assert result_of(events, 1) == {"a": 1}
    for body in (events.replace(b'"id":1', b'"id":2'), b'{"id":1,"error":{"code":-1}}'):
        with pytest.raises(ValueError, match="no result"):
            result_of(body, 1)


def test_a_tool_is_found_behind_what_a_gateway_puts_before_its_name() -> None:
    assert tool_named({"tools": [{"name": "up__echo"}, {"name": "echo"}]}, "echo") == "echo"
    assert tool_named({"tools": [{"name": "up__echo"}]}, "echo") == "up__echo"
    with pytest.raises(ValueError, match="no tool echo"):
        tool_named({"tools": [{"name": "else"}]}, "echo")
