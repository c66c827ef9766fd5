"""Who answers the bridge: the gateway of this home, or nobody."""

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator

import pytest

from tests.control.bridged import Bridged, Started, bridged_in, end_all, start_bridge
from tests.control.conftest import Room
from ztmcp_desktop.control import bridge_proof as proof
from ztmcp_desktop.control.socket_path import BRIDGE, listen_at

SECRET = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {"clientInfo": {"name": "hunter2"}}}


@pytest.fixture
async def bridged(room: Room) -> AsyncIterator[Bridged]:
    async with bridged_in(room) as made:
        yield made


class FakeGateway:
    """Another program that took the socket's place: it answers the first line with `answer`, and keeps all it gets."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.connections = 0
        self.got = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.got += await reader.readline()
        if self.answer is not None:
            writer.write(self.answer)
            with contextlib.suppress(ConnectionError):
                self.got += await reader.read()
        writer.close()


def with_proof(key: bytes) -> bytes:
    return proof.written({"nonce": "a" * 64, "proof": proof.proof_of(key, "gateway", "b" * 64, "a" * 64)})


@pytest.mark.attack("N10")
@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"\n",
        b"{}\n",
        b'{"jsonrpc": "2.0", "id": 7, "result": {}}\n',
        b"[" * 900 + b"\n",
        b"x" * 5000,
        with_proof(b"k" * 32),
        with_proof(b"\0" * 32),
    ],
)
async def test_another_program_in_the_place_of_the_socket_gets_nothing_of_the_client(
    room: Room, answer: bytes | None
) -> None:
    proof.make_key(room.home.state)
    fake = FakeGateway(answer)
    server = await asyncio.start_unix_server(fake.serve, sock=listen_at(room.home.run, BRIDGE, 4))
    started: list[Started] = []
    bridge = await start_bridge(room, started)
    await bridge.say(SECRET)
    refused = await bridge.hear()
    bridge.hang_up()
    status, _ = await bridge.over()

    assert refused["id"] == 7
    assert refused["error"]["code"] == -31001
    assert "is not the gateway of this home, so nothing was sent to it" in refused["error"]["message"]
    assert status == 1
    assert fake.connections == 1
    assert set(json.loads(fake.got)) == {"ztmcp-bridge", "nonce"}
    server.close()
    await end_all(started)


@pytest.mark.attack("N10")
async def test_another_program_on_the_port_gets_nothing(room: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        squatter.settimeout(0.2)
        room.home.config_file.write_text(f"port = {squatter.getsockname()[1]}\n")
        started: list[Started] = []
        bridge = await start_bridge(room, started)
        await bridge.say(SECRET)
        answer = await bridge.hear()
        bridge.hang_up()
        status, rest = await bridge.over()
        assert (answer["id"], answer["error"]["data"]) == (7, {"code": "server-unavailable"})
        assert "not running" in answer["error"]["message"]
        assert (status, rest) == (4, b"")
        with pytest.raises(TimeoutError):
            squatter.accept()
    await end_all(started)


def open_to_others(room: Room) -> None:
    room.home.run.chmod(0o755)


def of_another_user(room: Room) -> None:
    os.chown(room.home.run, 65534, -1)


def a_link_to_another_folder(room: Room) -> None:
    real = room.base / "elsewhere"
    room.home.run.rename(real)
    room.home.run.symlink_to(real)


def a_link_to_another_socket(room: Room) -> None:
    (room.home.run / BRIDGE).rename(room.base / "socket")
    (room.home.run / BRIDGE).symlink_to(room.base / "socket")


def a_key_that_others_may_read(room: Room) -> None:
    (room.home.state / "bridge.key").chmod(0o644)


def a_linked_key(room: Room) -> None:
    (room.home.state / "bridge.key").rename(room.base / "key")
    (room.home.state / "bridge.key").symlink_to(room.base / "key")


@pytest.mark.attack("N10", "N11")
@pytest.mark.parametrize("spoil", [open_to_others, of_another_user, a_link_to_another_folder, a_link_to_another_socket])
async def test_a_socket_that_is_not_ours_alone_is_not_even_connected_to(room: Room, spoil: object) -> None:
    if spoil is of_another_user and os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    key = proof.make_key(room.home.state)
    fake = FakeGateway(with_proof(key))
    server = await asyncio.start_unix_server(fake.serve, sock=listen_at(room.home.run, BRIDGE, 4))
    spoil(room)  # type: ignore[operator]
    started: list[Started] = []
    bridge = await start_bridge(room, started)
    await bridge.say(SECRET)
    assert (await bridge.hear())["error"]["code"] == -31001
    assert fake.connections == 0
    server.close()
    await end_all(started)


@pytest.mark.attack("N10", "N11")
@pytest.mark.parametrize("spoil", [a_key_that_others_may_read, a_linked_key])
async def test_a_key_that_is_not_ours_alone_proves_nothing(bridged: Bridged, spoil: object) -> None:
    bridged.let_in()
    spoil(bridged.room)  # type: ignore[operator]
    bridge = await bridged.start()
    await bridge.say(SECRET)
    assert (await bridge.hear())["error"]["code"] == -31001
    assert bridged.gate.seen == []


async def test_the_socket_and_the_key_are_for_this_user_alone(bridged: Bridged) -> None:
    for path in (bridged.room.home.run / BRIDGE, bridged.room.home.state / "bridge.key"):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    first = proof.read_key(bridged.room.home.state)
    await bridged.socket.stop()
    assert not (bridged.room.home.run / BRIDGE).exists()
    await bridged.socket.start()
    assert proof.read_key(bridged.room.home.state) != first
