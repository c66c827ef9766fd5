"""Messages over the pipes of a local server: one JSON object a line, each line capped."""

import asyncio
import logging
from contextlib import suppress

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.jsonrpc import Rubbish, decode, encode, notification
from ztmcp_desktop.gateway.link import Inbox, Noise, Route
from ztmcp_desktop.gateway.stderr_log import StderrLog
from ztmcp_desktop.ports import ChildProcess

READ_BYTES = 256 * 1024
CLOSE_S = 3.0
DRAIN_S = 0.5

_log = logging.getLogger(__name__)


def gone() -> Denial:
    """The refusal for whatever a process that ended will not answer."""
    return Denial(Code.SERVER_UNAVAILABLE, "the server ended; the next call starts it again", Retry.LATER)


class StdioLink:
    """A transport over a child process (MCP, stdio). A line beyond `line_bytes` ends this process and nothing else.

    Lines that are no JSON object (banners, colours, control characters) are dropped and counted.
    """

    def __init__(self, child: ChildProcess, line_bytes: int, log: StderrLog) -> None:
        self._child = child
        self._line_bytes = line_bytes
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._ending: asyncio.Future[None] | None = None

    async def start(self, inbox: Inbox) -> None:
        self._tasks = [
            asyncio.create_task(self._guarded(inbox)),
            asyncio.create_task(self._drain_stderr()),
        ]

    def agreed(self, version: str) -> None:
        del version

    async def send(self, message: JsonObject, route: Route) -> None:
        del route
        if self._closed or self._child.stdin.is_closing():
            raise gone()
        try:
            self._child.stdin.write(_line(message))
            await self._child.stdin.drain()
        except (OSError, RuntimeError) as error:
            raise gone() from error

    async def overhear(self) -> None:
        return

    async def abandon(self, request_id: str, route: Route) -> None:
        del route
        if self._closed or self._child.stdin.is_closing():
            return
        # Not drained: whoever gave up does not wait for a server that does not read.
        self._child.stdin.write(_line(notification("notifications/cancelled", {"requestId": request_id})))

    async def close(self) -> None:
        """End the process tree; whoever calls, first or later, returns when it is gone."""
        self._closed = True
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        self._child.stdin.close()
        try:
            await asyncio.wait_for(self._child.kill(), CLOSE_S)
        except TimeoutError:
            _log.error("a server's processes did not end within %s s", CLOSE_S)
        # The last words of a server that died say why.
        await asyncio.wait(self._tasks, timeout=DRAIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, inbox: Inbox) -> None:
        why = gone()
        try:
            why = await self._read(inbox)
        except OSError:
            _log.debug("a server's pipe broke")
        except Exception:  # noqa: BLE001 - the root of a task: one server must not reach the others
            _log.error("reading from a server failed")
        finally:
            inbox.closed(why)
        await self._discard()

    async def _discard(self) -> None:
        """Read on until the pipe ends: asyncio tells of a process's end only when its pipes have ended too."""
        with suppress(OSError):
            while await self._child.stdout.read(READ_BYTES):
                continue

    async def _read(self, inbox: Inbox) -> Denial:
        line = bytearray()
        while chunk := await self._child.stdout.read(READ_BYTES):
            start = 0
            while (end := chunk.find(b"\n", start)) >= 0:
                line += chunk[start:end]
                start = end + 1
                if len(line) > self._line_bytes:
                    return self._too_large()
                self._take(line, inbox)
                line = bytearray()
            line += chunk[start:]
            if len(line) > self._line_bytes:
                return self._too_large()
            # A pipe that is always full would otherwise never let the loop go.
            await asyncio.sleep(0)
        return gone()

    def _too_large(self) -> Denial:
        return Denial(Code.TOO_LARGE, f"the server wrote a message of more than {self._line_bytes} bytes and was ended")

    @staticmethod
    def _take(line: bytearray, inbox: Inbox) -> None:
        if not line.strip():
            return
        try:
            message = decode(line)
        except Rubbish:
            inbox.noise(Noise.NOT_A_MESSAGE)
            return
        inbox.receive(message, len(line), None)

    async def _drain_stderr(self) -> None:
        try:
            await self._log.drain(self._child.stderr)
        except (OSError, ValueError):
            _log.debug("a server's stderr broke")


def _line(message: JsonObject) -> bytes:
    try:
        return encode(message) + b"\n"
    except ValueError as error:
        raise Denial(Code.SCHEMA_MISMATCH, "the request holds text that is no Unicode") from error
