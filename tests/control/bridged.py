"""A real bridge socket and real bridge processes, with a gate that the test plays."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.control.conftest import Room
from tests.gateway.front import OneOffer, PlayedGate, free_port, oauth_parts
from ztmcp_desktop.control.bridge_socket import BridgeSocket
from ztmcp_desktop.domain.caller import Program
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.endpoint import Endpoint
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.gateway.programs import Programs
from ztmcp_desktop.settings import Settings

WAIT_S = 20.0
FILES = ServerName("files")
TESTS = ClientName("tests")
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "claims", "version": "9"}}


def this_program() -> Program:
    """What starts the bridges of these tests."""
    return Programs().of(os.getpid()).program


@dataclass
class Started:
    """A bridge, as its client sees it."""

    process: asyncio.subprocess.Process

    async def say(self, *messages: JsonObject | bytes) -> None:
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
            self.process.stdin.write(line)
        await self.process.stdin.drain()

    async def hear(self) -> Any:
        """The next message."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            line = await self.process.stdout.readline()
        assert line, await self.last_words()
        return json.loads(line)

    async def ask(self, method: str, params: JsonObject | None = None, number: object = 1) -> Any:
        message = {"jsonrpc": "2.0", "id": number, "method": method}
        await self.say(message if params is None else {**message, "params": params})
        return await self.hear()

    async def open(self) -> "Started":
        answer = await self.ask("initialize", HELLO, 0)
        assert "result" in answer, answer
        await self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    async def over(self) -> tuple[int, bytes]:
        """The exit status, and what was said until then."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            rest = await self.process.stdout.read()
            return await self.process.wait(), rest

    async def last_words(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()


@dataclass
class Bridged:
    room: Room
    gate: PlayedGate
    endpoint: Endpoint
    socket: BridgeSocket
    started: list[Started] = field(default_factory=list)

    def let_in(self) -> None:
        """Let this process's program call `files`."""
        self.room.clients.add(TESTS, (FILES,), 3600, bridge=this_program().place)

    async def start(self, server: str = "files") -> Started:
        return await start_bridge(self.room, self.started, server)

    @property
    def causes(self) -> list[str]:
        return [cause for cause, _ in self.room.ledger.rejected]


async def start_bridge(room: Room, started: list[Started], server: str = "files") -> Started:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ztmcp_desktop", "bridge", server),
        env={**os.environ, "ZTMCP_HOME": str(room.base)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=32 * 1024**2,
    )
    started.append(Started(process))
    return started[-1]


async def end_all(started: list[Started]) -> None:
    for one in started:
        if one.process.returncode is None:
            one.process.kill()
        await one.process.communicate()


@asynccontextmanager
async def bridged_in(room: Room) -> AsyncIterator[Bridged]:
    await room.add_server()
    settings, gate, peers = Settings(port=free_port()), PlayedGate(), Peers()
    endpoint = Endpoint(
        gate=gate,
        clients=room.clients,
        catalogue=OneOffer(),  # type: ignore[arg-type]
        ledger=room.ledger,
        settings=settings,
        clock=room.clock,
        oauth=oauth_parts(room.clients, room.clock, peers),
        listeners=Listeners(),
        peers=peers,
    )
    socket = BridgeSocket(
        room.home, settings=settings, peers=peers, pairing=room.pairing, pipes=endpoint.pipes, ledger=room.ledger
    )
    await endpoint.start()
    await socket.start()
    made = Bridged(room, gate, endpoint, socket)
    try:
        yield made
    finally:
        await end_all(made.started)
        await socket.stop()
        await endpoint.stop()
