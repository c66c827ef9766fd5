"""What is measured: a program that can be started, called, and ended."""

import asyncio
import os
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.client import Client
from tests.bench.machine import Cost, cost_of

ECHO = Path(__file__).parent / "echo" / "server.py"
FAST = ECHO.with_name("fast.py")
PATIENCE_S = 60.0
POLL_S = 0.01
END_S = 10.0


class Program(ABC):
    """One program that answers `client` once it is started; `reference` names the one that it is compared with.

    `failures` says what it did not manage, by what that was: a row of the tables says so then.
    """

    def __init__(self, name: str, reference: str) -> None:
        self.name = name
        self.reference = reference
        self.failures: dict[str, str] = {}
        self.starts_s: list[float] = []
        self.at_rest_mib: list[float] = []
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._client

    async def start(self) -> None:
        """Return when it has answered its first list; how long that took is kept."""
        began = time.monotonic()
        self._client = await self._begin()
        self.starts_s.append(time.monotonic() - began)

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
        await self._end()

    @abstractmethod
    def cost(self) -> Cost: ...

    @abstractmethod
    async def _begin(self) -> Client: ...

    @abstractmethod
    async def _end(self) -> None: ...


class Listening:
    """A process that we started and that listens on a port of this machine; its output goes to a file."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it is open for as long as the process runs
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, **environment},
                cwd=folder,
            )
        except OSError:
            self._log.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    async def until(self, works: Callable[[], Awaitable[None]], bound_s: float = PATIENCE_S) -> None:
        """Try again and again. Raises RuntimeError, with the last of its output, where it ends or stays deaf."""
        end = time.monotonic() + bound_s
        while True:
            try:
                return await works()
            except (OSError, ValueError, KeyError) as error:
                if self._process.poll() is not None:
                    raise RuntimeError(f"it ended with {self._process.returncode}: {self.output()}") from error
                if time.monotonic() > end:
                    raise RuntimeError(f"it did not answer ({error}): {self.output()}") from error
            await asyncio.sleep(POLL_S)

    def output(self) -> str:
        self._log.seek(0)
        return self._log.read()[-600:].decode(errors="replace").strip()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


async def opened(process: Listening, make: Callable[[], Client]) -> Client:
    """A client that has had its first list, as soon as that works."""
    made: list[Client] = []

    async def works() -> None:
        client = make()
        try:
            await client.open()
        except BaseException:
            await client.close()
            raise
        made.append(client)

    await process.until(works)
    return made[0]


def cost_without_server(pid: int) -> Cost:
    return cost_of(pid, str(ECHO.parent))
