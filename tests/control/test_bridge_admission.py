"""Who is let in over the bridge, and who is not."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control.bridged import Bridged, bridged_in, this_program
from tests.control.conftest import Room
from tests.gateway.front import tool_call, until
from ztmcp_desktop.control import bridge_proof as proof
from ztmcp_desktop.control import bridge_socket
from ztmcp_desktop.control.socket_path import BRIDGE, connect_to
from ztmcp_desktop.domain.consent import Proposal, Verdict, Withdrawal
from ztmcp_desktop.domain.json import JsonObject

SECRET = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {"clientInfo": {"name": "hunter2"}}}


@pytest.fixture
async def bridged(room: Room) -> AsyncIterator[Bridged]:
    async with bridged_in(room) as made:
        yield made


Raw = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def raw(bridged: Bridged) -> AsyncIterator[Raw]:
    connection = connect_to(bridged.room.home.run, BRIDGE, 5)
    connection.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    yield reader, writer
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def hello(raw: Raw) -> tuple[str, str]:
    reader, writer = raw
    mine = proof.new_nonce()
    writer.write(proof.written({"ztmcp-bridge": 1, "nonce": mine}))
    theirs = json.loads(await reader.readline())["nonce"]
    return mine, theirs


@pytest.mark.attack("N10", "N3")
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"server": "files"},
        {"server": "files", "proof": "0" * 64},
        {"server": "files", "proof": 1},
        {"server": "files", "proof": "\ud800"},
        {"server": "../etc", "proof": "right"},
        {"server": "mail", "proof": "right"},
        {"server": "files", "proof": "the gateway's"},
        {"server": "files", "proof": "of another connection"},
    ],
)
async def test_without_the_right_proof_nothing_is_let_in(bridged: Bridged, raw: Raw, said: JsonObject) -> None:
    bridged.let_in()
    key = proof.read_key(bridged.room.home.state)
    (reader, writer), (mine, theirs) = raw, await hello(raw)
    made = {
        "right": proof.proof_of(key, "bridge", mine, theirs, "files"),
        "the gateway's": proof.proof_of(key, "gateway", mine, theirs, "files"),
        "of another connection": proof.proof_of(key, "bridge", mine, proof.new_nonce(), "files"),
    }
    if "proof" in said:
        said = {**said, "proof": made.get(str(said["proof"]), said["proof"])}
    writer.write(proof.written(said))
    writer.write(json.dumps(tool_call()).encode() + b"\n")
    assert await reader.read() == b""
    await until(lambda: bridged.causes == ["bridge-proof"])
    assert bridged.gate.seen == []


@pytest.mark.attack("N8", "C6")
@pytest.mark.parametrize(
    "first",
    [
        b"\n",
        b"nonsense\n",
        b'{"verb": "status", "arguments": {}}\n',
        b'{"verb": "client.add", "arguments": {"name": "a"}}\n',
        b'{"ztmcp-bridge": 1, "nonce": 5}\n',
        b'{"ztmcp-bridge": 1, "nonce": "short"}\n',
        json.dumps(tool_call()).encode() + b"\n",
        b"x" * 100_000,
    ],
)
async def test_what_is_no_handshake_reaches_neither_a_verb_nor_a_call(bridged: Bridged, raw: Raw, first: bytes) -> None:
    reader, writer = raw
    writer.write(first)
    assert await reader.read() == b""
    await until(lambda: bridged.causes == ["bridge-proof"])
    assert bridged.gate.seen == []
    assert bridged.room.clients.all() == ()


@pytest.mark.attack("N8")
async def test_whoever_says_nothing_is_not_waited_for(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_socket, "HANDSHAKE_S", 0.1)
    async with bridged_in(room) as bridged:
        with connect_to(room.home.run, BRIDGE, 5) as silent:
            assert await asyncio.to_thread(silent.recv, 1) == b""
        await until(lambda: bridged.causes == ["bridge-proof"])


@pytest.mark.attack("N10", "P14")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run something as another user")
async def test_another_user_gets_not_a_byte_even_where_folder_and_socket_stand_open() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        Path(base).chmod(0o755)
        async with bridged_in(Room(Path(base))) as bridged:
            bridged.let_in()
            bridged.room.home.run.chmod(0o755)
            (bridged.room.home.run / BRIDGE).chmod(0o666)
            code = (
                "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                'try:\n s.sendall(b\'{"ztmcp-bridge":1,"nonce":"\'+b"a"*64+b\'"}\\n\')\n print(s.recv(100))\n'
                "except OSError:\n print(b'')"
            )
            python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin") or "python3"
            user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
            done = await asyncio.to_thread(
                subprocess.run,
                [*user, python, "-c", code, str(bridged.room.home.run / BRIDGE)],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (done.stdout, done.stderr) == ("b''\n", "")
            assert bridged.gate.seen == []
            bridged.room.home.run.chmod(0o700)


async def refusal(bridged: Bridged, server: str = "files") -> JsonObject:
    bridge = await bridged.start(server)
    answer = await bridge.ask("initialize", {})
    status, rest = await bridge.over()
    assert (status, rest) == (0, b"")
    error: JsonObject = answer["error"]
    assert error["code"] == -31001
    assert bridged.gate.seen == []
    return error


@pytest.mark.attack("N3")
async def test_without_a_window_an_unknown_program_is_told_how_the_person_lets_it_in(bridged: Bridged) -> None:
    error = await refusal(bridged)
    assert error["data"] == {"code": "nobody-there"}
    assert f"ztmcp client add NAME --server files --program {this_program().place!r}" in error["message"]
    assert bridged.room.clients.all() == ()


@pytest.mark.attack("N3")
async def test_a_program_that_was_let_in_for_one_server_is_not_let_in_for_another(bridged: Bridged) -> None:
    await bridged.room.add_server("mail")
    bridged.let_in()
    assert (await refusal(bridged, "mail"))["data"] == {"code": "nobody-there"}
    assert (await refusal(bridged, "unheard-of"))["data"] == {"code": "not-permitted"}


@pytest.mark.attack("C7", "P14")
async def test_where_there_is_a_window_the_person_is_asked_once_and_a_no_is_a_no(bridged: Bridged) -> None:
    bridged.room.front.screen = True
    bridged.room.desk.verdict = Verdict.DENY
    assert (await refusal(bridged))["data"] == {"code": "refused-by-person"}
    assert (await refusal(bridged))["data"] == {"code": "refused-by-person"}

    [ticket] = bridged.room.desk.tickets
    assert isinstance(ticket.question, Proposal)
    facts = dict(ticket.question.facts)
    assert facts["Program"] == this_program().path
    assert facts["Its file (SHA-256)"] == this_program().sha256
    assert facts["Server"] == "files"
    assert bridged.room.clients.all() == ()
    assert bridged.room.kinds() == ["server add", "client pair"]


async def test_a_yes_makes_a_client_that_is_listed_and_not_asked_about_again(bridged: Bridged) -> None:
    bridged.room.front.screen = True
    bridged.room.desk.verdict = Verdict.ALLOW
    for _ in range(2):
        bridge = await (await bridged.start()).open()
        assert (await bridge.ask("tools/call", {"name": "echo", "arguments": {"text": "a"}}))["result"]["content"]
        bridge.hang_up()
        assert (await bridge.over())[0] == 0
    assert len(bridged.room.desk.tickets) == 1
    [client] = (await bridged.room.plane.ask("client.list", {}))["clients"]
    assert client["program"] == this_program().place
    assert client["servers"] == ["files"]
    assert client["first_seen"]["sha256"] == client["last_seen"]["sha256"] == this_program().sha256
    assert "client pair" in bridged.room.kinds()

    await bridged.room.add_server("mail")
    await (await bridged.start("mail")).open()
    assert len(bridged.room.desk.tickets) == 2
    assert bridged.room.clients.all()[0].servers == ("files", "mail")


@pytest.mark.attack("C8")
async def test_a_client_that_leaves_while_the_person_is_asked_takes_the_question_along(bridged: Bridged) -> None:
    bridged.room.front.screen = True
    bridge = await bridged.start()
    await bridge.say(SECRET)
    await until(lambda: bridged.room.desk.tickets)
    bridge.hang_up()
    await until(lambda: bridged.room.desk.tickets[0].withdrawn is Withdrawal.CLIENT_GAVE_UP)
    assert bridged.room.clients.all() == ()
