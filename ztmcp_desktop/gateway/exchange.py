"""One POSTed request and its answer: a JSON body if it is quick and quiet, else a stream that is kept alive."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.answers import Answer, Headers, send_json
from ztmcp_desktop.gateway.wire import dump

ABORT = "ztmcp.abort"
"""Key in the ASGI scope's `extensions`; its `connection` drops the connection with all that is unsent."""

MAX_OUTBOX = 256
MAX_OUTBOX_BYTES = 16 * 1024**2
CANCEL_S = 5.0
_BEFORE, _AFTER = b"event: message\r\ndata: ", b"\r\n\r\n"
PING = b": ping\r\n\r\n"
STREAM_HEADERS: Headers = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a response may be silent before a sign of life, and a client may stall before it is given up."""

    quiet_s: float = 5.0
    stall_s: float = 30.0
    body_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """What the client's Accept header allows."""

    json: bool
    stream: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """How the response ends when the work was cancelled or failed, and what is said while it is quiet."""

    withdrawn: Answer
    fault: Answer
    sign_of_life: Callable[[int], JsonObject | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One HTTP exchange of the server below: reading, writing, and giving up."""

    receive: Receive
    send: Send
    abort: Callable[[], None]

    async def gone(self) -> None:
        """Return when the client has gone away; the body must have been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def give_up(self) -> None:
        """Drop a client that does not read: an orderly close would wait for it for ever."""
        self.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self.gone()


def wire_of(scope: Scope, receive: Receive, send: Send) -> Wire:
    """The wire of an ASGI request; a server that cannot drop connections has nothing to be called."""
    dropper = (scope.get("extensions") or {}).get(ABORT, {})
    return Wire(receive=receive, send=send, abort=dropper.get("connection", lambda: None))


class Exchange:
    """The response side of one request. Messages are pushed in order, all before the answer."""

    def __init__(self, wire: Wire, *, accepts: Accepts, timing: Timing, headers: Headers = ()) -> None:
        self._wire = wire
        self._accepts = accepts
        self._headers = headers
        self._timing = timing
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._streaming = False
        self._gone = False
        self._over = False

    @property
    def carries_messages(self) -> bool:
        """Whether anything but the answer can reach the client."""
        return self._accepts.stream and not self._gone and not self._over

    async def push(self, message: JsonObject) -> None:
        """Put a message on the stream; waits while the client is slow, and drops it when the client is gone.

        Raises:
            Denial: it cannot be written as JSON (`gateway-fault`).
        """
        frame = _event(message)
        while self.carries_messages and self._is_full():
            self._room.clear()
            await self._room.wait()
        if self.carries_messages:
            self._outbox.append(frame)
            self._outbox_bytes += len(frame)
            self._wake.set()

    def _is_full(self) -> bool:
        return len(self._outbox) >= MAX_OUTBOX or self._outbox_bytes >= MAX_OUTBOX_BYTES

    async def run(self, work: asyncio.Task[Answer], endings: Endings) -> None:
        """Answer with what `work` gives; the client's leaving cancels it. Returns when the work is over."""
        watcher = asyncio.create_task(self._watch())
        work.add_done_callback(self._work_done)
        try:
            await self._stream_until_done(work, endings)
            if not self._gone:
                await self._finish(_outcome(work, endings), endings)
        except TimeoutError:
            _log.info("a client stopped reading its answer")
            await self._wire.give_up()
        finally:
            self._over = True
            self._room.set()
            watcher.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=CANCEL_S)

    def _work_done(self, work: asyncio.Task[Answer]) -> None:
        if not work.cancelled():
            # Asked for here, or asyncio would log its text when nobody is left to answer.
            work.exception()
        self._wake.set()

    async def _watch(self) -> None:
        await self._wire.gone()
        self._gone = True
        self._wake.set()
        self._room.set()

    async def _stream_until_done(self, work: asyncio.Task[Answer], endings: Endings) -> None:
        quiet = 0
        spoken = False
        if not self._accepts.json:
            await self._begin()
        while not self._gone:
            if self._outbox:
                spoken = True
                await self._flush()
            if work.done():
                return
            if await self._woken() or not self._accepts.stream:
                continue
            quiet += 1
            sign = None if spoken else endings.sign_of_life(quiet)
            await self._write(PING if sign is None else _event(sign))

    async def _woken(self) -> bool:
        try:
            async with asyncio.timeout(self._timing.quiet_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _flush(self) -> None:
        while self._outbox:
            frame = self._outbox.popleft()
            self._outbox_bytes -= len(frame)
            await self._write(frame)
            self._room.set()

    async def _finish(self, answer: Answer, endings: Endings) -> None:
        try:
            body = dump(answer.message)
        except Denial:
            answer = endings.fault
            body = dump(answer.message)
        async with asyncio.timeout(self._timing.stall_s):
            if self._streaming:
                await self._wire.send({"type": "http.response.body", "body": _framed(body), "more_body": False})
            else:
                await send_json(self._wire.send, answer.status, body, self._headers)

    async def _write(self, frame: bytes) -> None:
        await self._begin()
        async with asyncio.timeout(self._timing.stall_s):
            await self._wire.send({"type": "http.response.body", "body": frame, "more_body": True})

    async def _begin(self) -> None:
        if not self._streaming:
            self._streaming = True
            headers = [*STREAM_HEADERS, *self._headers]
            await self._wire.send({"type": "http.response.start", "status": 200, "headers": headers})


class Standing:
    """The stream that a legacy client opens with GET: what is not an answer to anything, and signs of life."""

    def __init__(self, wire: Wire, timing: Timing) -> None:
        self._wire = wire
        self._timing = timing
        self._inbox: asyncio.Queue[JsonObject | None] = asyncio.Queue(MAX_OUTBOX)

    def offer(self, message: JsonObject) -> None:
        """Put a message on the stream; one that a slow client has no room for is dropped."""
        with contextlib.suppress(asyncio.QueueFull):
            self._inbox.put_nowait(message)

    def close(self) -> None:
        """End the stream."""
        if self._inbox.full():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)

    async def run(self) -> None:
        """Serve until the client goes, stalls, or the stream is closed."""
        watcher = asyncio.create_task(self._watch())
        try:
            await self._wire.send({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})
            frame: bytes | None = PING
            while frame is not None and not watcher.done():
                async with asyncio.timeout(self._timing.stall_s):
                    await self._wire.send({"type": "http.response.body", "body": frame, "more_body": True})
                frame = await self._next()
            await self._wire.send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            _log.info("a client stopped reading its stream")
            await self._wire.give_up()
        finally:
            watcher.cancel()

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._timing.quiet_s):
                message = await self._inbox.get()
        except TimeoutError:
            return PING
        return None if message is None else _event(message)

    async def _watch(self) -> None:
        await self._wire.gone()
        self.close()


def unframed(frame: bytes) -> bytes:
    """The message in a frame of a stream that an exchange wrote; nothing where it is only a sign of life."""
    return frame[len(_BEFORE) : -len(_AFTER)] if frame.startswith(_BEFORE) else b""


def _event(message: JsonObject) -> bytes:
    return _framed(dump(message))


def _framed(body: bytes) -> bytes:
    return _BEFORE + body + _AFTER


def _outcome(work: asyncio.Task[Answer], endings: Endings) -> Answer:
    if work.cancelled():
        return endings.withdrawn
    if failure := work.exception():
        # Its text may hold what was sent, so only its type is written.
        _log.error("a call failed inside the gateway: %s", type(failure).__name__)
        return endings.fault
    return work.result()
