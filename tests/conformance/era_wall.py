"""A wall before a server of both eras that lets one era through, so that the gateway must bridge to the other."""

import asyncio
import contextlib

from tests.conformance.header_proxy import MAX_HEAD_BYTES, pump_both_ways

_MODERN = b"mcp-protocol-version: 2026-07-28"
_BODY = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this era is not spoken here"}}'
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class EraWall:
    """Listens on `port` before the server on `server_port`; `version` is the era that passes."""

    def __init__(self, port: int, server_port: int, version: str) -> None:
        self._port, self._server_port = port, server_port
        self._modern_passes = version == "2026-07-28"

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._one, "127.0.0.1", self._port, limit=MAX_HEAD_BYTES)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if (_MODERN in head.lower()) != self._modern_passes:
                writer.write(_REFUSAL)
                await writer.drain()
            else:
                far = await asyncio.open_connection("127.0.0.1", self._server_port)
                lines = [
                    line for line in head[:-4].split(b"\r\n") if not line.lower().startswith((b"connection:", b"host:"))
                ]
                lines += [b"Host: 127.0.0.1:%d" % self._server_port, b"Connection: close"]
                far[1].write(b"\r\n".join(lines) + b"\r\n\r\n")
                await pump_both_ways((reader, writer), far)
        writer.close()
