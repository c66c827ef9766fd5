"""A confined process: its pipes, and its end, which is the end of everything it started."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from contextlib import suppress

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.sandbox.cgroup import Group

KILL_PATIENCE_S = 3.0
_REMOVE_TRIES = 50
_REMOVE_PAUSE_S = 0.02
_SIGNAL_BASE = 128


class ConfinedProcess:
    """Implements `ports.ChildProcess`.

    `init_pidfd` refers to process 1 of the server's own process namespace. When that ends, the kernel has ended and
    reaped all others in the namespace (pid_namespaces(7)), however they were forked and whichever session they are in.
    """

    def __init__(self, process: Process, init_pidfd: int, group: Group | None) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise Denial(Code.GATEWAY_FAULT, "a confined process was started without its pipes")
        self.pid = process.pid
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self._process = process
        self._group = group
        self._init_pidfd = init_pidfd
        self._emptied = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(init_pidfd, self._on_empty)

    def _on_empty(self) -> None:
        asyncio.get_running_loop().remove_reader(self._init_pidfd)
        os.close(self._init_pidfd)
        self._init_pidfd = -1
        if not self._emptied.done():
            self._emptied.set_result(None)

    async def wait(self) -> int:
        status = await self._process.wait()
        await asyncio.shield(self._emptied)
        await self._remove_group()
        # bubblewrap tells of a signal as a shell does.
        return _SIGNAL_BASE - status if _SIGNAL_BASE < status < _SIGNAL_BASE + signal.NSIG else status

    async def kill(self) -> None:
        """As the port says. Raises TimeoutError where the kernel does not end them in time."""
        if self._init_pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_pidfd, signal.SIGKILL)
        try:
            await asyncio.wait_for(self.wait(), KILL_PATIENCE_S)
        finally:
            self.stdin.close()

    async def _remove_group(self) -> None:
        for _ in range(_REMOVE_TRIES):
            if self._group is None or self._group.remove():
                self._group = None
                return
            await asyncio.sleep(_REMOVE_PAUSE_S)
