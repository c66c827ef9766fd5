"""Clients that cost little: requests written by hand, every echo compared."""

import time
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import urlsplit

from tests.bench.eras import HELLO, INITIALIZED, Era, request, result_of, routing, tool_named
from tests.bench.line import Answer, Line

PATIENCE_S = 60.0
GOOD = 200
TAKEN = frozenset({200, 202, 204})


class Client(ABC):
    """One session with a server that has an echo."""

    def __init__(self, era: Era) -> None:
        self.era = era
        self._tool = "echo"
        self._number = 0

    async def open(self) -> None:
        """The first exchange and the first list: a server that did both answers."""
        if self.era is Era.HANDSHAKE:
            await self.ask("initialize", HELLO)
            await self.say_initialized()
        else:
            await self.ask("server/discover", {})
        self._tool = tool_named(await self.ask("tools/list", {}), "echo")

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of a request that is not measured."""
        self._number += 1
        number = self._number
        body = await self.exchange(0, method, "", number, request(self.era, number, method, params))
        return result_of(body.text, number)

    async def echo(self, line: int, text: str) -> float:
        """Call the tool; how many seconds that took. The text must come back as it was."""
        self._number += 1
        number, expected = self._number, text.encode()
        params = {"name": self._tool, "arguments": {"text": text}}
        body = request(self.era, number, "tools/call", params)
        began = time.perf_counter()
        answer = await self.exchange(line, "tools/call", self._tool, number, body)
        if expected not in answer.text:
            raise ValueError(f"the echo is missing in {answer.text[:300]!r}")
        return answer.at - began

    @abstractmethod
    async def exchange(self, line: int, method: str, name: str, number: int, body: bytes) -> "Timed": ...

    @abstractmethod
    async def say_initialized(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


class Timed:
    """An answer's bytes, and the moment of `time.perf_counter` at which the last of them was there."""

    __slots__ = ("at", "text")

    def __init__(self, text: bytes) -> None:
        self.at = time.perf_counter()
        self.text = text


class HttpClient(Client):
    """A session at `url`, over as many connections as there are callers at once."""

    def __init__(self, era: Era, url: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(era)
        self._parts = urlsplit(url)
        self._headers = {
            "Host": self._parts.netloc,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **(headers or {}),
        }
        self._lines: dict[int, Line] = {}
        self._heads: dict[tuple[str, str], bytes] = {}

    async def exchange(self, line: int, method: str, name: str, number: int, body: bytes) -> Timed:
        answer = await self._post(line, method, name, body)
        timed = Timed(bytes(answer.body))
        if answer.status != GOOD:
            raise ValueError(f"{method} was answered with {answer.status} {timed.text[:300]!r}")
        if method == "initialize" and "mcp-session-id" in answer.headers:
            self._headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        return timed

    async def say_initialized(self) -> None:
        answer = await self._post(0, "notifications/initialized", "", INITIALIZED)
        if answer.status not in TAKEN:
            raise ValueError(f"initialized was answered with {answer.status}")

    async def _post(self, line: int, method: str, name: str, body: bytes) -> Answer:
        message = self._head(method, name) + b"%d\r\n\r\n" % len(body) + body
        connection = self._lines.get(line)
        if connection is not None and not connection.closed:
            try:
                return await connection.post(message, PATIENCE_S)
            except ConnectionError:
                # The other side may end what was idle for long; an echo may be asked for twice.
                pass
        connection = self._lines[line] = await Line.to(str(self._parts.hostname), int(self._parts.port or 80))
        return await connection.post(message, PATIENCE_S)

    def _head(self, method: str, name: str) -> bytes:
        known = self._heads.get((method, name))
        if known is None:
            headers = self._headers | routing(self.era, method, name)
            lines = [f"POST {self._parts.path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
            known = self._heads[method, name] = "\r\n".join([*lines, "Content-Length: "]).encode()
        return known

    async def close(self) -> None:
        for line in self._lines.values():
            line.close()
        self._lines.clear()
