"""What the proxies of these tests share: each connection carries one request."""

import asyncio
import contextlib
from abc import ABC, abstractmethod

MAX_HEAD_BYTES = 65536
End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class OneRequestProxy(ABC):
    """Listens on `port`; what is open when it is closed ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def one(self, near: End) -> None:
        """Serve one connection; it is closed afterwards."""

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._kept, "127.0.0.1", self._port, limit=MAX_HEAD_BYTES)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open)

    async def _kept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.one((reader, writer))
        writer.close()


def last_head(lines: list[bytes]) -> bytes:
    """The head of a message that is the last one of its connection."""
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n"


async def pass_on(near: End, port: int, head: bytes) -> None:
    """Send `head` to a server on this computer, and pass bytes until either end leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_HEAD_BYTES)
    writer.write(head)
    tasks = [asyncio.create_task(_pump(near[0], writer)), asyncio.create_task(_pump_answer(reader, near[1]))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        writer.close()


async def _pump_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A server may say that the connection lives on, though it was told that it does not.
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        writer.write(last_head((await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")))
        await _pump(reader, writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(MAX_HEAD_BYTES):
            writer.write(piece)
            await writer.drain()
