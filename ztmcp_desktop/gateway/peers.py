"""Which process holds the other end of a local connection, as the operating system says; never a guess."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ztmcp_desktop.domain.caller import Caller, Unknown
from ztmcp_desktop.gateway.attesting import SILENT, Attester, Where
from ztmcp_desktop.gateway.programs import Programs
from ztmcp_desktop.gateway.receivers import find_listener

MAX_WAITING = 1024
# A large program may have to be read from a slow disk once; after that a look takes milliseconds.
PATIENCE_S = 8.0
_SLOW = Unknown(why="it could not be found out in time")


@dataclass(slots=True)
class Held:
    """What is kept for one connection, for as long as it lasts: who is at its other end, once that was asked for."""

    where: Where | None
    found: "asyncio.Future[Caller] | None" = None


class Peers:
    """Looks callers up in a thread of its own, all that wait in one walk through the processes. Decides nothing."""

    def __init__(self, programs: Programs | None = None) -> None:
        self._programs = programs or Programs()
        self._attester = Attester(self._programs)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ztmcp-peers")
        self._waiting: list[tuple[Where, asyncio.Future[Caller]]] = []
        self._work: asyncio.Task[None] | None = None

    def begin(self, held: Held) -> None:
        """Start to look, once a connection; the call need not wait for it yet."""
        if held.found is not None:
            return
        held.found = asyncio.get_running_loop().create_future()
        if held.where is None:
            held.found.set_result(SILENT)
        elif len(self._waiting) >= MAX_WAITING:
            held.found.set_result(_SLOW)
        else:
            self._waiting.append((held.where, held.found))
            if self._work is None or self._work.done():
                self._work = asyncio.create_task(self._look())

    async def caller(self, held: Held) -> Caller:
        """Who is at the other end; waits for at most 8 s, and at once when it is known already."""
        self.begin(held)
        found = held.found
        if found is None:
            return SILENT
        if not found.done():
            await asyncio.wait({found}, timeout=PATIENCE_S)
        return found.result() if found.done() else _SLOW

    async def listener(self, host: str, port: int) -> Caller:
        """The program that listens at this address of this machine, `host` being one of loopback's names."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await loop.run_in_executor(self._thread, find_listener, host, port, self._programs)
        except TimeoutError:
            return _SLOW

    async def _look(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                loop = asyncio.get_running_loop()
                wheres = [where for where, _ in batch]
                callers = await loop.run_in_executor(self._thread, self._attester.attest, wheres)
            except Exception:  # noqa: BLE001 - a look-up that fails is no reason to leave a call waiting
                callers = [SILENT] * len(batch)
            for (_, found), caller in zip(batch, callers, strict=True):
                if not found.done():
                    found.set_result(caller)
