"""One kept HTTP connection that costs little: one request at a time, the answer read by a parser in C."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import httptools


@dataclass
class Answer:
    """What came back; header names in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Line(asyncio.Protocol):
    """A connection. The methods that begin with `on_` are called by the parser."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._waiter: asyncio.Future[Answer] | None = None

    @classmethod
    async def to(cls, host: str, port: int) -> "Line":
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(cls, host, port))[1]

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def post(self, request: bytes, patience_s: float) -> Answer:
        """Raises ConnectionError where the other side went away, TimeoutError where it stays silent."""
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(patience_s):
                return await self._waiter
        except BaseException:
            # What comes late would be taken for the next answer.
            self.close()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError(f"the connection was closed: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._answer.body += body

    def on_message_complete(self) -> None:
        answer, self._answer = self._answer, Answer()
        answer.status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)
