"""What the bridge carries, how it ends, and what it costs."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from tests.control.bridged import FILES, HELLO, TESTS, Bridged, Started, bridged_in, this_program
from tests.control.conftest import Room
from tests.gateway.front import modern, tool_call, until
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.caller import Attested
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway import pipes

START_S = 0.2
CANCELLED = "notifications/cancelled"


@pytest.fixture
async def bridged(room: Room) -> AsyncIterator[Bridged]:
    async with bridged_in(room) as made:
        yield made


async def never(call: Call) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_call_over_the_bridge_says_who_started_it(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await (await bridged.start()).open()
    await bridge.ask("tools/call", {"name": "echo", "arguments": {"text": "a"}})

    call = bridged.gate.seen[-1]
    assert (call.principal.client, call.server, call.era, call.claimed) == (TESTS, FILES, Era.LEGACY, "claims 9")
    assert isinstance(call.caller, Attested)
    assert call.caller.pid == os.getpid()
    assert call.caller.program == this_program()
    assert call.caller.via == f"ztmcp bridge (process {bridge.process.pid})"


async def test_a_shell_between_the_client_and_the_bridge_is_not_taken_for_the_client(bridged: Bridged) -> None:
    bridged.let_in()
    line = f"{sys.executable} -m ztmcp_desktop bridge files; true"
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", line),
        env={**os.environ, "ZTMCP_HOME": str(bridged.room.base)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    bridged.started.append(Started(process))
    await bridged.started[-1].open()
    assert bridged.gate.seen[-1].caller.program == this_program()  # type: ignore[union-attr]
    bridged.started[-1].hang_up()
    assert (await bridged.started[-1].over())[0] == 0


async def test_a_message_of_2026_07_28_needs_no_session_and_says_nothing_twice(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await bridged.start()
    message = modern(tool_call("hi", region="EU"))
    message["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = {"name": "modern"}
    await bridge.say(message)
    assert (await bridge.hear())["result"]["resultType"] == "complete"
    assert (bridged.gate.seen[-1].era, bridged.gate.seen[-1].claimed) == (Era.MODERN, "modern")
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
    await bridge.say({**message, "id": 2})
    assert (await bridge.hear())["error"]["code"] == -32022


async def test_what_belongs_to_no_request_comes_over_the_pipe_as_well(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await (await bridged.start()).open()
    [session] = bridged.endpoint._sessions.all()
    session.tell("notifications/tools/list_changed", {})
    assert (await bridge.hear())["method"] == "notifications/tools/list_changed"


async def test_a_server_asks_and_is_answered_over_the_pipe(bridged: Bridged) -> None:
    async def asks(call: Call) -> Reply:
        return Reply(body=await call.channel.request("elicitation/create", {"message": "who?"}))

    bridged.let_in()
    bridged.gate.act = asks
    bridge = await bridged.start()
    await bridge.ask("initialize", {**HELLO, "capabilities": {"elicitation": {}}}, 0)
    question = await bridge.ask("tools/call", {"name": "echo", "arguments": {}})
    assert question["method"] == "elicitation/create"
    await bridge.say({"jsonrpc": "2.0", "id": "another", "result": {"action": "accept"}})
    await bridge.say({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}})
    assert (await bridge.hear())["result"] == {"action": "decline"}


@pytest.mark.attack("N6")
async def test_two_bridges_with_equal_ids_never_get_each_others_answers(bridged: Bridged) -> None:
    bridged.let_in()
    pair = [await (await bridged.start()).open() for _ in range(2)]
    for number in range(50):
        await asyncio.gather(*(one.say(tool_call(f"{which} {number}", number)) for which, one in enumerate(pair)))
        for which, one in enumerate(pair):
            assert (await one.hear())["result"]["content"][0]["text"] == f"{which} {number}"


@pytest.mark.attack("N4", "N8")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense\n", -32700),
        (b"[]\n", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}\n', -32700),
        (b'{"jsonrpc":"2.0","id":1}\n', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}\n', -32600),
        (b"\xff\xfe{}\n", -32700),
        (b"[" * 5000 + b"]" * 5000 + b"\n", -32700),
    ],
)
async def test_what_is_no_request_is_an_error_and_the_next_one_is_answered(
    bridged: Bridged, line: bytes, code: int
) -> None:
    bridged.let_in()
    bridge = await bridged.start()
    await bridge.say(line)
    assert (await bridge.hear())["error"]["code"] == code
    assert bridged.gate.seen == []
    await bridge.open()


@pytest.mark.attack("N8")
async def test_a_line_without_an_end_is_cut_off_with_an_error(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await bridged.start()
    # It may be over before all of it is written.
    with contextlib.suppress(ConnectionError):
        await bridge.say(b"x" * (17 * 1024**2))
    assert "too large" in (await bridge.hear())["error"]["message"]
    assert (await bridge.over())[0] == 0


@pytest.mark.attack("N7", "C7")
async def test_a_flood_of_requests_of_bridges_and_of_ids_is_bounded(
    bridged: Bridged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "MAX_IN_FLIGHT", 4)
    monkeypatch.setattr(pipes, "MAX_PIPES_A_CLIENT", 2)
    bridged.let_in()
    bridged.gate.act = never
    bridge = await (await bridged.start()).open()
    await bridge.say(*(tool_call(number=number) for number in (1, 2, 3, 4, 4, 5)))
    errors = [await bridge.hear() for _ in range(2)]
    assert [error["id"] for error in errors] == [4, 5]
    assert "in flight already" in errors[0]["error"]["message"]
    assert "too many requests" in errors[1]["error"]["message"]
    await until(lambda: len([call for call in bridged.gate.seen if call.method == "tools/call"]) == 4)

    await (await bridged.start()).open()
    third = await bridged.start()
    assert (await third.ask("initialize", {}))["error"]["data"] == {"code": "server-unavailable"}
    third_status, _ = await third.over()
    assert third_status == 0


@pytest.mark.attack("C8")
async def test_a_call_that_is_cancelled_is_withdrawn_and_not_answered(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await (await bridged.start()).open()
    bridged.gate.act = never
    await bridge.say(tool_call(number="a"))
    await until(lambda: bridged.gate.seen[-1].method == "tools/call")
    await bridge.say({"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": "a"}})
    await until(lambda: bridged.gate.withdrawn)
    assert (await bridge.ask("ping", number="b"))["id"] == "b"


@pytest.mark.attack("C8")
async def test_a_client_that_goes_takes_its_calls_along(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await (await bridged.start()).open()
    bridged.gate.act = never
    await bridge.say(tool_call())
    await until(lambda: bridged.gate.seen[-1].method == "tools/call")
    bridge.process.kill()
    await until(lambda: bridged.gate.withdrawn)


@pytest.mark.attack("N3")
async def test_revoking_ends_the_pipe_within_a_second(bridged: Bridged) -> None:
    bridged.let_in()
    idle, busy = await (await bridged.start()).open(), await (await bridged.start()).open()
    bridged.gate.act = never
    await busy.say(tool_call())
    await until(lambda: bridged.gate.seen[-1].method == "tools/call")

    began = time.monotonic()
    await bridged.room.plane.ask("client.revoke", {"name": TESTS})
    (idle_status, nothing), (busy_status, last) = await asyncio.gather(idle.over(), busy.over())
    assert time.monotonic() - began < 1
    assert (idle_status, nothing, busy_status) == (0, b"", 0)
    assert json.loads(last)["result"]["_meta"]["ztmcp/denial"]["code"] == Code.WITHDRAWN
    assert len(bridged.gate.withdrawn) == 1
    again = await (await bridged.start()).ask("initialize", HELLO)
    assert again["error"]["data"] == {"code": "nobody-there"}


async def test_a_silence_of_hours_ends_no_bridge(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await (await bridged.start()).open()
    first = bridged.gate.seen[-1].principal.session
    await bridged.room.clock.advance(1801)
    answer = await bridge.ask("tools/call", {"name": "echo", "arguments": {"text": "a"}})
    assert "result" in answer
    assert bridged.gate.seen[-1].principal.session != first


async def test_the_end_of_the_gateway_is_the_end_of_the_bridge(bridged: Bridged) -> None:
    bridged.let_in()
    bridge = await (await bridged.start()).open()
    await bridged.socket.stop()
    assert (await bridge.over())[0] == 0


async def test_it_starts_within_a_fifth_of_a_second(bridged: Bridged) -> None:
    """The best of seven: how long until a client has its first answer, the handshake and the look at it included."""
    bridged.let_in()
    times = []
    for _ in range(7):
        began = time.monotonic()
        await (await bridged.start()).open()
        times.append(time.monotonic() - began)
    assert min(times) < START_S, times


def test_it_loads_neither_the_sdk_nor_qt_nor_anything_large() -> None:
    code = (
        "import sys\nfrom ztmcp_desktop.cli.main import parse\nimport ztmcp_desktop.control.bridge_client\n"
        "parse(['bridge', 'files'])\nprint('\\n'.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ztmcp_desktop" in loaded
    large = {"mcp", "mcp_types", "PySide6", "starlette", "uvicorn", "aiohttp", "pydantic", "psutil"}
    assert loaded.isdisjoint(large | {"cryptography", "sqlite3", "keyring", "orjson", "cedarpy", "re2"}), loaded & large
