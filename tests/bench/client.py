"""A client that costs little: requests written by hand on connections that are kept, every echo compared."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

VERSION = "2025-11-25"
LIMIT_BYTES = 16 * 1024 * 1024
PATIENCE_S = 60.0


@dataclass
class Client:
    """One session at `url`, over as many connections as there are callers."""

    url: str
    token: str = ""
    _session: str = ""
    _lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def open(self, connections: int) -> None:
        for _ in range(connections):
            self._lines.append(await self._connected())
        hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        await self._post(0, _message("initialize", hello, 0))
        await self._post(0, b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        return await asyncio.open_connection(parts.hostname, parts.port, limit=LIMIT_BYTES)

    def close(self) -> None:
        for _, writer in self._lines:
            writer.close()

    async def echo(self, line: int, text: str, number: int) -> float:
        """Call the tool; how many seconds that took. The text must come back as it was."""
        request = _message("tools/call", {"name": "echo", "arguments": {"text": text}}, number)
        began = time.perf_counter()
        answer = await self._post(line, request)
        took = time.perf_counter() - began
        if text.encode() not in answer:
            raise RuntimeError(f"the echo is missing in {answer[:300]!r}")
        return took

    async def _post(self, line: int, body: bytes) -> bytes:
        if self._lines[line][0].at_eof():
            # The other side may end what was idle for long, as between two bursts on a busy machine.
            self._lines[line][1].close()
            self._lines[line] = await self._connected()
        reader, writer = self._lines[line]
        parts = urlsplit(self.url)
        head = [
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            f"Content-Length: {len(body)}",
        ]
        head += [f"Authorization: Bearer {self.token}"] if self.token else []
        head += [f"Mcp-Session-Id: {self._session}", f"MCP-Protocol-Version: {VERSION}"] if self._session else []
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        async with asyncio.timeout(PATIENCE_S):
            return await self._answer(reader)

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._session = headers.get("mcp-session-id", self._session)
        if not status.startswith("HTTP/1.1 20"):
            raise RuntimeError(f"the answer is {status}")
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return bytes(body)


def _message(method: str, params: dict[str, object], number: int) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message, separators=(",", ":")).encode()
