"""A proxy that adds the bearer token, which the conformance suite cannot send, and maps one path to another.

All else passes as it comes: a foreign Host or Origin reaches the gateway as foreign.
"""

import asyncio
import contextlib
import re

MAX_HEAD_BYTES = 65536
End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HeaderProxy:
    """Listens on `port`; `/mcp` there is `path` on `gateway_port`."""

    def __init__(self, port: int, gateway_port: int, path: str, token: str) -> None:
        self._port, self._gateway_port, self._path, self._token = port, gateway_port, path, token

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._one, "127.0.0.1", self._port, limit=MAX_HEAD_BYTES)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = self._changed(await reader.readuntil(b"\r\n\r\n"))
            far = await asyncio.open_connection("127.0.0.1", self._gateway_port)
            far[1].write(head)
            await pump_both_ways((reader, writer), far)
        writer.close()

    def _changed(self, head: bytes) -> bytes:
        lines = head[:-4].split(b"\r\n")
        lines[0] = lines[0].replace(b" /mcp ", b" " + self._path.encode() + b" ")
        own = re.compile(rb"(?i)(host|origin):(.*):%d$" % self._port)
        lines = [own.sub(rb"\1:\2:%d" % self._gateway_port, line) for line in lines]
        lines = [line for line in lines if not line.lower().startswith(b"connection:")]
        return (
            b"\r\n".join([*lines, b"Connection: close", b"Authorization: Bearer " + self._token.encode()]) + b"\r\n\r\n"
        )


async def pump_both_ways(near: End, far: End) -> None:
    """Pass bytes until either end leaves: there is one request a connection."""
    tasks = [asyncio.create_task(_pump(near[0], far[1])), asyncio.create_task(_pump(far[0], near[1]))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    far[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(MAX_HEAD_BYTES):
            writer.write(piece)
            await writer.drain()
