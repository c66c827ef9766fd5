"""ztmcp with a home of its own: every check on, and a rule that permits the calls without asking."""

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from enum import Enum
from pathlib import Path

from tests.bench.client import Client, HttpClient
from tests.bench.direct import OVER_HTTP
from tests.bench.eras import Era
from tests.bench.machine import Cost
from tests.bench.program import ECHO, Program, cost_without_server
from tests.journeys.stage import Stage, stage_in

RULE = 'permit (principal == Client::"bench", action == Action::"call_without_asking", resource in Server::"echo");'


class Kind(Enum):
    """How the gateway reaches the server."""

    HTTP = "HTTP"
    STDIO = "stdio"


def furnish(stage: Stage, kind: Kind, url: str) -> str:
    """Give a home the server and a client, the client's token."""
    if kind is Kind.HTTP:
        stage.cli("server", "add", "echo", "--url", url)
    else:
        stage.cli("server", "add", "echo", "--folder", f"{ECHO.parent}:ro", "--", sys.executable, str(ECHO), "stdio")
    stage.cli("server", "approve", "echo", "--yes")
    return str(stage.json("client", "add", "bench", "--server", "echo")["token"])


def permit(stage: Stage) -> None:
    rule = stage.root / "bench.cedar"
    rule.write_text(RULE)
    stage.cli("rule", "add", str(rule))


class Ours(Program):
    """The gateway without a window. The server at `url` must be running when it is made ready."""

    def __init__(self, era: Era, kind: Kind, url: str) -> None:
        super().__init__(f"ztmcp, server over {kind.value}", OVER_HTTP)
        self.kind = kind
        self._era, self._url = era, url
        self._token = ""
        self._ready = ExitStack()
        self._stage: Stage | None = None

    def make_ready(self) -> None:
        folder = self._ready.enter_context(tempfile.TemporaryDirectory(prefix="ztmcp-bench-"))
        stage = self._ready.enter_context(stage_in(Path(folder)))
        self._token = furnish(stage, self.kind, self._url)
        permit(stage)
        self._stage = stage

    def verify(self) -> None:
        """Its ledger must hold at the end, or what was measured was not ztmcp."""
        self._there().verify()

    def clear_away(self) -> None:
        self._ready.close()

    async def _begin(self) -> Client:
        stage = self._there()
        await asyncio.to_thread(stage.start, headless=True)
        client = HttpClient(self._era, stage.endpoint("echo"), {"Authorization": f"Bearer {self._token}"})
        await client.open()
        return client

    async def _end(self) -> None:
        await asyncio.to_thread(self._there().stop)

    def cost(self) -> Cost:
        process = self._there().process
        return cost_without_server(process.pid) if process is not None else Cost()

    def _there(self) -> Stage:
        if self._stage is None:
            raise RuntimeError("the home was not made ready")
        return self._stage
