"""Where the browser comes back to: a listener on this machine that takes one answer and is gone (RFC 8252, 7.3)."""

import asyncio
import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from ztmcp_desktop.domain.denial import Code, Denial, Retry

HOST = "127.0.0.1"
PATH = "/callback"
WAIT_S = 300.0
READ_S = 5.0
MAX_HEAD_BYTES = 16 * 1024
MAX_FIELDS = 32
MAX_CONNECTIONS = 16
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
    "X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Opener-Policy: same-origin\r\n"
    "Connection: close\r\n"
)
_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>ztmcp</title>"
    "<p>ztmcp has the answer. You may close this page; what came of it stands in ztmcp."
)


class Callback:
    """One listener for one login. `async with` ends it; what came is given once, as it came."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._server: asyncio.Server | None = None
        self._answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._open = 0
        self.port = int(listening.getsockname()[1])

    @classmethod
    def bind(cls, port: int | None) -> Self:
        """A listener on `port` of the loopback address; on one that the system chooses where it is None.

        Raises:
            OSError: the port is taken.
        """
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                # Connections of the last login still linger on the port; two listeners cannot share it all the same.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HOST, port or 0))
        except OSError:
            listening.close()
            raise
        return cls(listening)

    @property
    def uri(self) -> str:
        """The address that the browser is sent back to."""
        return f"http://{HOST}:{self.port}{PATH}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, sock=self._listening, limit=MAX_HEAD_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._listening.close()

    async def answer(self) -> Mapping[str, str]:
        """The fields of the one answer.

        Raises:
            Denial: none came within five minutes (`no-answer`).
        """
        try:
            async with asyncio.timeout(WAIT_S):
                return await self._answer
        except TimeoutError:
            raise Denial(Code.NO_ANSWER, "nobody came back from the browser within five minutes", Retry.LATER) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                async with asyncio.timeout(READ_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._reply(head.decode("latin-1")))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            self._open -= 1
            writer.close()

    def _reply(self, untrusted: str) -> bytes:
        fields = self._fields(untrusted)
        if fields is None or self._answer.done():
            return f"HTTP/1.1 404 Not Found\r\n{_HEADERS}Content-Length: 0\r\n\r\n".encode()
        # Closed before anything else can come: the second to knock finds nobody.
        self._answer.set_result(fields)
        return f"HTTP/1.1 200 OK\r\n{_HEADERS}Content-Length: {len(_PAGE)}\r\n\r\n{_PAGE}".encode()

    def _fields(self, untrusted: str) -> dict[str, str] | None:
        """The fields of a request that is the browser's answer, None for any other; each must be there once."""
        line, *lines = untrusted.split("\r\n")
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        hosts = [value.strip() for name, _, value in (h.partition(":") for h in lines) if name.lower() == "host"]
        if method != "GET" or not version.startswith("HTTP/1.") or hosts != [f"{HOST}:{self.port}"]:
            return None
        try:
            parts = urlsplit(target)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return None
        if parts.scheme or parts.netloc or parts.path != PATH or len(dict(pairs)) != len(pairs):
            return None
        fields = dict(pairs)
        return fields if fields.keys() & {"code", "error"} else None
