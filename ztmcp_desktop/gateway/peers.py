"""Which process holds the other end of a local connection, as the operating system says."""

import asyncio

import psutil

from ztmcp_desktop.domain.call import Peer
from ztmcp_desktop.domain.client import Process

MAX_LOOKUPS = 2
MAX_ARGUMENTS = 64
MAX_ARGUMENT_CHARS = 1024
PATIENCE_S = 2.0


class Peers:
    """Looks callers up in the system's table of connections, off the loop; None in doubt. Decides nothing."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(MAX_LOOKUPS)

    async def process(self, peer: Peer) -> Process | None:
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                return await asyncio.to_thread(find_process, peer)
        except TimeoutError:
            return None


def find_process(peer: Peer) -> Process | None:
    """The process whose end of a TCP connection is `peer`; None where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.pid and connection.laddr and tuple(connection.laddr) == (peer.host, peer.port):
                return _describe(psutil.Process(connection.pid))
    except (psutil.Error, OSError):
        return None
    return None


def _describe(process: psutil.Process) -> Process:
    with process.oneshot():
        executable = process.exe()
        arguments = process.cmdline()
    return Process(
        pid=process.pid,
        executable=executable,
        arguments=tuple(argument[:MAX_ARGUMENT_CHARS] for argument in arguments[:MAX_ARGUMENTS]),
    )
