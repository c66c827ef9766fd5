"""Listens on the loopback addresses, inside the running loop, with limits on every connection."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.gateway.exchange import ABORT
from ztmcp_desktop.gateway.host_filter import ABSOLUTE_TARGET
from ztmcp_desktop.gateway.intake import HELD
from ztmcp_desktop.gateway.peers import Held
from ztmcp_desktop.gateway.socket_owners import Ends

MAX_CONNECTIONS = 512
MAX_HEADER_BYTES = 32768
MAX_HEADERS = 100
HEADER_S = 10.0
KEEP_ALIVE_S = 75
START_S = 10.0
STOP_S = 3.0
_GRACE_S = 1
_BACKLOG = 128
_NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

_log = logging.getLogger(__name__)
# What a client does wrong on the wire is the client's, not worth a line that it could write a million times.
_quiet_log = logging.getLogger("ztmcp_desktop.gateway.connection_errors")
_quiet_log.setLevel(logging.ERROR)


class HttpServer:
    """Serves `app` on 127.0.0.1 and, where there is IPv6, ::1, at `port`, and nowhere else."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; returns when connections are taken.

        Raises:
            Denial: the port is taken or cannot be had (`gateway-fault`).
        """
        sockets = listen(self._port)
        config = uvicorn.Config(
            self._app,
            http=_Connection,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            backlog=_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=sockets))
        async with asyncio.timeout(START_S):
            while not self._server.started:
                if self._task.done():
                    raise Denial(Code.GATEWAY_FAULT, f"the gateway could not listen on port {self._port}")
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Close every connection; returns within about 3 s."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait({self._task}, timeout=STOP_S)
        if not done:
            self._server.force_exit = True
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1)
        self._server = self._task = None


def listen(port: int) -> list[socket.socket]:
    """Bound sockets on the loopback addresses, both at `port`.

    Raises:
        Denial: another program has it, on either address (`gateway-fault`).
    """
    sockets: list[socket.socket] = []
    try:
        sockets.append(_bind(socket.AF_INET, "127.0.0.1", port))
        try:
            sockets.append(_bind(socket.AF_INET6, "::1", port))
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    except OSError as error:
        for opened in sockets:
            opened.close()
        reason = f"port {port} cannot be used ({error.strerror}); end the program that has it, or choose another port"
        raise Denial(Code.GATEWAY_FAULT, reason, Retry.LATER) from error
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # The protocol is named, or asyncio leaves Nagle's algorithm on: 45 ms a call with delayed acknowledgements.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """Signals belong to the application, not to its server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Corked:
    """A transport that holds what is written until the loop's turn ends: an answer's head and body go out together.

    Two writes would be two segments, each with a system call and a waking of the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the transport's own
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._held.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(b"".join(self._held))
        self._held.clear()


class _Connection(HttpToolsProtocol):
    """Adds what uvicorn lacks: limits of time and size on request headers, and the form of the request target."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.logger = _quiet_log
        self._in_headers = True
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._held = Held(where=None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _Corked(transport, self.loop)  # type: ignore[assignment]
        if self.client is not None and self.server is not None and self.server[1] is not None:
            self._held = Held(where=Ends(near=self.client, ours=(self.server[0], self.server[1])))
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
            if self._deadline is None:
                self._expect_headers()
        super().data_received(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES:
            self.transport.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:
            super().on_header(name, value)
        # Else it is a trailer, which nobody asked for and which must not join the headers.

    def on_headers_complete(self) -> None:
        self._disarm()
        self._in_headers = False
        size = sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            raise ValueError("the headers are too large")
        self.scope["extensions"] = {ABORT: {"connection": self.transport.abort}, HELD: {"connection": self._held}}
        if not self.url.startswith(b"/"):
            # uvicorn drops the host of an absolute target; the filter must see that there was one.
            self.scope["extensions"][ABSOLUTE_TARGET] = {"form": "absolute"}
            self.url = b"/"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        # Whatever comes next belongs to the headers of another request.
        self._in_headers = True
        self._header_bytes = 0
        super().on_message_complete()

    def _expect_headers(self) -> None:
        self._deadline = self.loop.call_later(HEADER_S, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
