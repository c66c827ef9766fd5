"""Another gateway, as it is started from an environment of its own and measured beside ours."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.bench.client import Client, HttpClient
from tests.bench.direct import OVER_HTTP, OVER_PIPES
from tests.bench.eras import Era
from tests.bench.machine import Cost
from tests.bench.pipes import PipesClient
from tests.bench.program import ECHO, Listening, Program, cost_without_server, opened
from tests.journeys.stage import REPO, free_port

FOLDER = REPO / ".cache" / "peers"
SERVER = (sys.executable, str(ECHO), "stdio")


class Form(Enum):
    """What a gateway listens on, and what its server is reached over."""

    HTTP_TO_HTTP = "HTTP"
    HTTP_TO_PIPES = "HTTP, server over stdio"
    PIPES = "stdio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one start of a peer may write, its port, and the server before which it stands."""

    work: Path
    port: int
    url: str
    installed: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def program(self, name: str) -> str:
        return str(self.installed / "bin" / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where clients come in, and with which headers."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The command of a start; `enter`, once it listens, may set it up and says where clients come in."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    enter: Callable[[], Entrance] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that is measured, and what it checks. `folder` is its environment below the peers' folder."""

    name: str
    checks: str
    folder: str
    form: Form
    launch: Callable[[Place], Launch]
    eras: tuple[Era, ...] = tuple(Era)


class Peer(Program):
    """One kind of gateway before the echo server at `url`, or before one that it starts itself."""

    def __init__(self, era: Era, gateway: Gateway) -> None:
        sign = " †" if gateway.form is Form.PIPES else ""
        super().__init__(f"{gateway.name} ({gateway.checks}){sign}", OVER_PIPES if sign else OVER_HTTP)
        self.gateway = gateway
        self._era = era
        self.url = ""
        self._process: Listening | None = None
        self._work: Path | None = None
        self._pid = 0

    async def _begin(self) -> Client:
        self._work = Path(tempfile.mkdtemp(prefix="bench-peer-"))
        place = Place(work=self._work, port=free_port(), url=self.url, installed=FOLDER / self.gateway.folder)
        launch = await asyncio.to_thread(self.gateway.launch, place)
        environment = {"HOME": str(self._work), **launch.environment}
        if self.gateway.form is Form.PIPES:
            return await self._piped(launch.command, environment)
        self._process = Listening(launch.command, environment, self._work)
        self._pid = self._process.pid
        entrance = Entrance(url=f"{place.base}/mcp")
        if launch.enter is not None:
            await self._process.until(lambda: _listens(place.port))
            entrance = await asyncio.to_thread(launch.enter)
        return await opened(self._process, lambda: HttpClient(self._era, entrance.url, entrance.headers))

    async def _piped(self, command: list[str], environment: dict[str, str]) -> Client:
        client = await PipesClient.of(self._era, command, environment)
        self._pid = client.pid
        try:
            await client.open()
        except BaseException:
            await client.close()
            raise
        return client

    async def _end(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.end)
            self._process = None
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work = None

    def cost(self) -> Cost:
        return cost_without_server(self._pid)


async def _listens(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
