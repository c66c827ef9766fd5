"""A client of a program on its standard input and output; calls at once share the pipe."""

import asyncio
import os
from typing import cast

import orjson

from tests.bench.client import PATIENCE_S, Client, Timed
from tests.bench.eras import INITIALIZED, Era

LIMIT_BYTES = 64 * 1024 * 1024


class PipesClient(Client):
    """A session with a program of its own, which ends with the session."""

    def __init__(self, era: Era, process: asyncio.subprocess.Process) -> None:
        super().__init__(era)
        self._process = process
        self._writer = cast("asyncio.StreamWriter", process.stdin)
        self._reader = cast("asyncio.StreamReader", process.stdout)
        self._waiting: dict[int, asyncio.Future[Timed]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def of(cls, era: Era, command: list[str], environment: dict[str, str] | None = None) -> "PipesClient":
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LIMIT_BYTES,
            env={**os.environ, **(environment or {})},
        )
        return cls(era, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def exchange(self, line: int, method: str, name: str, number: int, body: bytes) -> Timed:
        if self._reading.done():
            raise ConnectionResetError("the program has ended")
        waiter = self._waiting[number] = cast("asyncio.Future[Timed]", asyncio.get_running_loop().create_future())
        try:
            self._writer.write(body + b"\n")
            await self._writer.drain()
            async with asyncio.timeout(PATIENCE_S):
                return await waiter
        finally:
            self._waiting.pop(number, None)

    async def say_initialized(self) -> None:
        self._writer.write(INITIALIZED + b"\n")

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                # The time is taken before the line is parsed, which is our work and not the other side's.
                timed = Timed(line)
                self._take(timed)
        finally:
            for waiter in self._waiting.values():
                if not waiter.done():
                    waiter.set_exception(ConnectionResetError("the program has ended"))

    def _take(self, timed: Timed) -> None:
        try:
            message = orjson.loads(timed.text)
        except orjson.JSONDecodeError:
            return  # Some programs write their log there too.
        waiter = self._waiting.get(message.get("id")) if "method" not in message else None
        if waiter is not None and not waiter.done():
            waiter.set_result(timed)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
