import asyncio
import os
import sys

import psutil
import pytest

from tests.gateway.front import free_port
from ztmcp_desktop.domain.call import Peer
from ztmcp_desktop.gateway import peers
from ztmcp_desktop.gateway.peers import Peers

CLIENT = "import socket,sys\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\ns.recv(1)"


async def test_the_process_at_the_other_end_is_found() -> None:
    connected: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    held: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        connected.put_nowait(writer.get_extra_info("peername"))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, str(port))
    host, number = await asyncio.wait_for(connected.get(), 20)

    found = await Peers().process(Peer(host=host, port=number))

    assert found is not None
    assert found.pid == child.pid
    assert found.pid != os.getpid()
    assert found.arguments[-1] == str(port)
    assert found.executable == psutil.Process(child.pid).exe()
    held[0].close()
    await child.wait()
    server.close()
    await server.wait_closed()


async def test_a_connection_that_nobody_has_is_none() -> None:
    assert await Peers().process(Peer(host="127.0.0.1", port=free_port())) is None


@pytest.mark.parametrize("error", [psutil.AccessDenied(), OSError()])
async def test_a_system_that_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(kind: str) -> None:
        raise error

    monkeypatch.setattr(peers.psutil, "net_connections", refuse)

    assert await Peers().process(Peer(host="127.0.0.1", port=1)) is None
