"""The way back for one message on a pipe, in the form in which the doors answer HTTP requests."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Message

from ztmcp_desktop.gateway.exchange import Wire, unframed
from ztmcp_desktop.gateway.legacy import SESSION_HEADER

_SESSION = SESSION_HEADER.encode()


class Line:
    """Writes what a door answers as lines: a JSON body is one, each event of a stream is one, all else is nothing."""

    def __init__(self, say: Callable[[bytes], Awaitable[None]], abort: Callable[[], None]) -> None:
        self.session: str | None = None
        self._say = say
        self._abort = abort
        self._gone = asyncio.Event()
        self._streams = False
        self._body: list[bytes] = []

    def wire(self) -> Wire:
        """For the arrival of the message."""
        return Wire(receive=self._receive, send=self._send, abort=self._give_up)

    def hang_up(self) -> None:
        """The client no longer wants the answer: the call is withdrawn, and nothing more is said."""
        self._gone.set()

    def _give_up(self) -> None:
        self.hang_up()
        self._abort()

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Message) -> None:
        if event["type"] == "http.response.start":
            headers = dict(event.get("headers", ()))
            self._streams = headers.get(b"content-type") == b"text/event-stream"
            if _SESSION in headers:
                self.session = headers[_SESSION].decode("ascii")
            return
        if self._gone.is_set():
            return
        if self._streams:
            if message := unframed(event.get("body", b"")):
                await self._say(message)
            return
        self._body.append(event.get("body", b""))
        if not event.get("more_body", False) and (body := b"".join(self._body)):
            await self._say(body)
