"""JSON-RPC by the line, as stdio frames it, through the same doors as over HTTP."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ztmcp_desktop.domain.caller import Attested
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.answers import DENIED, error
from ztmcp_desktop.gateway.calls import Arrival
from ztmcp_desktop.gateway.exchange import Accepts
from ztmcp_desktop.gateway.legacy import LegacyDoor
from ztmcp_desktop.gateway.line import Line
from ztmcp_desktop.gateway.modern import ModernDoor
from ztmcp_desktop.gateway.wire import INVALID_REQUEST, Rejection, RequestId, dump, parse, request_id, require_shape
from ztmcp_desktop.ports import ClientBook
from ztmcp_desktop.settings import Settings

MAX_PIPES = 64
MAX_PIPES_A_CLIENT = 16
MAX_IN_FLIGHT = 64
LAST_WORDS_S = 0.5
STOP_S = 2.0
WRITE_S = 30.0
_BOTH = Accepts(json=True, stream=True)
_log = logging.getLogger(__name__)

Reject = Callable[[str, Code, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeParts:
    """What a pipe stands on: the doors of both eras are those of the endpoint."""

    legacy: LegacyDoor
    modern: ModernDoor
    clients: ClientBook
    settings: Settings
    reject: Reject


class Pipes:
    """The open pipes. Each ends with its client's permission."""

    def __init__(self, parts: PipeParts) -> None:
        self._parts = parts
        self._open: dict[Pipe, asyncio.Task[None]] = {}

    async def serve(
        self,
        caller: Attested,
        principal: Principal,
        server: ServerName,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Carry a client's messages to `server` and the answers back, until either side ends it.

        Raises:
            Denial: too many are open (`server-unavailable`).
        """
        held = sum(1 for pipe in self._open if pipe.principal.client == principal.client)
        if len(self._open) >= MAX_PIPES or held >= MAX_PIPES_A_CLIENT:
            raise Denial(Code.SERVER_UNAVAILABLE, "too many bridges are open already", Retry.LATER)
        pipe = Pipe(self._parts, caller, principal, server, reader, writer)
        self._open[pipe] = work = asyncio.ensure_future(pipe.run())
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            del self._open[pipe]

    def end_unconfirmed(self) -> None:
        """End those whose client was revoked or has expired."""
        for pipe in list(self._open):
            try:
                self._parts.clients.confirm(pipe.principal, pipe.server)
            except Denial:
                pipe.end()

    async def stop(self) -> None:
        """End all of them."""
        for pipe in self._open:
            pipe.end()
        if self._open:
            await asyncio.wait(set(self._open.values()), timeout=STOP_S)


class Pipe:
    """One client's connection to one server, by the line. The era of each message is in the message."""

    def __init__(  # noqa: PLR0913, PLR0917 - both ends of it, and who is there
        self,
        parts: PipeParts,
        caller: Attested,
        principal: Principal,
        server: ServerName,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.principal = principal
        self.server = server
        self._parts = parts
        self._caller = caller
        self._reader = reader
        self._writer = writer
        self._session: str | None = None
        self._lines: dict[RequestId, Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._standing: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Serve until the client closes its end, sends what is too large, or `end` is called."""
        self._reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({self._reading})
            if not self._reading.cancelled() and (fault := self._reading.exception()):
                # Its text may hold what was sent, so only its type is written.
                _log.error("a bridge ended in %s", type(fault).__name__)
            if self._tasks:
                # What was cut off gets to say so; a client that has gone is not waited for.
                await asyncio.wait(set(self._tasks), timeout=LAST_WORDS_S)
        finally:
            self._reading.cancel()
            for task in (*self._tasks, *self._standing):
                task.cancel()
            if self._session is not None:
                with contextlib.suppress(Denial):
                    await self._parts.legacy.delete(self._arrival(self._line()))

    def end(self) -> None:
        """Read no more; what is in flight is over within half a second."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        while line := await self._next():
            if line.isspace():
                continue
            number: RequestId | None = None
            try:
                message = parse(line, self._parts.settings.max_json_depth)
                number = request_id(message) if "method" in message else None
                require_shape(message)
                self.principal = self._parts.clients.admit(self._caller.program, self.server)
                await self._take(message, number)
            except Rejection as rejection:
                await self._refuse(rejection, number)
            except Denial as denial:
                await self._parts.reject("bridge", denial.code, self.server)
                await self.refuse(denial, number)
                break
        self._hang_up_all()

    async def _next(self) -> bytes:
        """The next line; nothing where the client has closed its end, or sends what is too large."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            await self._refuse(Rejection(413, INVALID_REQUEST, "the message is too large", code=Code.TOO_LARGE), None)
        except (asyncio.IncompleteReadError, OSError):
            pass
        return b""

    async def _take(self, message: JsonObject, number: RequestId | None) -> None:
        if number is None:
            await self._take_unasked(message)
            return
        if number in self._lines:
            raise Rejection(400, INVALID_REQUEST, "a request with this id is in flight already")
        if len(self._tasks) >= MAX_IN_FLIGHT:
            raise Rejection(429, INVALID_REQUEST, "too many requests are in flight", code=Code.SERVER_UNAVAILABLE)
        line = self._lines[number] = self._line()
        if message["method"] == "initialize":
            # Nothing that follows can be understood without its answer.
            await self._answer(message, number, line)
            if self._session is not None and not self._standing:
                self._standing.append(asyncio.create_task(self._stand()))
            return
        task = asyncio.create_task(self._answer(message, number, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: JsonObject, number: RequestId, line: Line) -> None:
        try:
            await self._through_door(message, line)
        except Rejection as rejection:
            await self._refuse(rejection, number)
        except Denial as denial:
            await self.refuse(denial, number)
        finally:
            del self._lines[number]
            self._session = self._session or line.session

    async def _take_unasked(self, message: JsonObject) -> None:
        """A notification or a response: nothing answers it."""
        if message.get("method") == "notifications/cancelled":
            untrusted_id = message.get("params", {}).get("requestId")
            if isinstance(untrusted_id, str | int) and (line := self._lines.get(untrusted_id)):
                line.hang_up()
            return
        try:
            await self._through_door(message, self._line())
        except Rejection as rejection:
            await self._parts.reject(f"bridge-{rejection.status}", rejection.code, self.server)

    async def _through_door(self, message: JsonObject, line: Line) -> None:
        if _is_modern(message) or ("method" in message and "id" not in message and self._session is None):
            await self._parts.modern.post(self._arrival(line), message)
        elif self._session is None and message.get("method") != "initialize":
            raise Rejection(400, INVALID_REQUEST, "the first request of this protocol version is initialize")
        else:
            await self._parts.legacy.post(self._arrival(line), message)

    async def _stand(self) -> None:
        """What belongs to no request has a way to the client too, as the stream of a GET is."""
        with contextlib.suppress(Denial):
            await self._parts.legacy.get(self._arrival(self._line()))

    def _line(self) -> Line:
        return Line(self._say, self._abort)

    def _arrival(self, line: Line) -> Arrival:
        return Arrival(
            principal=self.principal,
            server=self.server,
            headers=None,
            accepts=_BOTH,
            caller=self._caller,
            wire=line.wire(),
            session=self._session,
        )

    async def _refuse(self, rejection: Rejection, number: RequestId | None) -> None:
        await self._parts.reject(f"bridge-{rejection.status}", rejection.code, self.server)
        await self._say_in_time(dump(error(number, rejection.rpc_code, rejection.reason, rejection.data)))

    async def refuse(self, denial: Denial, number: RequestId | None) -> None:
        """The contract's refusal of a request, or of all that may follow."""
        await self._say_in_time(dump(error(number, DENIED, denial.reason, {"code": denial.code.value})))

    async def _say_in_time(self, body: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                await self._say(body)
        except TimeoutError:
            self._abort()

    async def _say(self, body: bytes) -> None:
        """Write a message whole; a client that is gone hears nothing."""
        try:
            self._writer.writelines((body, b"\n"))
            await self._writer.drain()
        except OSError:
            self.end()

    def _abort(self) -> None:
        self._writer.transport.abort()
        self.end()

    def _hang_up_all(self) -> None:
        for line in self._lines.values():
            line.hang_up()


def _is_modern(message: JsonObject) -> bool:
    """Whether a message says the version that it is written in, and it is none of the handshake's."""
    meta = message.get("params", {}).get("_meta")
    version = meta.get(sdk.PROTOCOL_VERSION_META) if isinstance(meta, dict) else None
    return version is not None and version not in sdk.handshake_versions()
