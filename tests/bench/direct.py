"""The echo servers themselves, which every gateway is compared with."""

import sys
from pathlib import Path

from tests.bench.client import Client, HttpClient
from tests.bench.eras import Era
from tests.bench.machine import Cost
from tests.bench.pipes import PipesClient
from tests.bench.program import ECHO, Listening, Program, opened
from tests.journeys.stage import free_port

OVER_HTTP = "the server itself, over HTTP"
OVER_PIPES = "the server itself, over stdio"


class HttpServer(Program):
    """An echo server over HTTP."""

    def __init__(self, era: Era, script: Path = ECHO) -> None:
        super().__init__(OVER_HTTP, OVER_HTTP)
        self._era, self._script = era, script
        self._process: Listening | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"

    async def _begin(self) -> Client:
        self._process = Listening([sys.executable, str(self._script), str(self.port)], {})
        return await opened(self._process, lambda: HttpClient(self._era, self.url))

    async def _end(self) -> None:
        if self._process is not None:
            self._process.end()

    def cost(self) -> Cost:
        return Cost()


class PipesServer(Program):
    """The echo server on its standard input and output."""

    def __init__(self, era: Era) -> None:
        super().__init__(OVER_PIPES, OVER_PIPES)
        self._era = era

    async def _begin(self) -> Client:
        client = await PipesClient.of(self._era, [sys.executable, str(ECHO), "stdio"])
        await client.open()
        return client

    async def _end(self) -> None:
        pass

    def cost(self) -> Cost:
        return Cost()
