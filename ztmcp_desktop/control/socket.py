"""The control socket: one line of JSON asks, one answers. Only this user reaches it."""

import asyncio
import json
import logging
import os
import socket
import stat
import struct
import sys

from ztmcp_desktop import __version__
from ztmcp_desktop.control.socket_path import NAME, opened_folder, short_path
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.ports import ControlPlane
from ztmcp_desktop.settings import Home

MAX_LINE_BYTES = 4 * 1024**2
MAX_CONNECTIONS = 16
REQUEST_S = 10.0
BEAT_S = 1.0
logger = logging.getLogger(__name__)
_CREDENTIALS = struct.Struct("3i")


class ControlSocket:
    """Serves a plane in `run/control.sock`. Whoever holds the home's lock may make one."""

    def __init__(self, home: Home, plane: ControlPlane) -> None:
        self._home = home
        self._plane = plane
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            Denial: something that is no socket, or a link, stands in its place, or it cannot be made (`gateway-fault`).
        """
        listening = _listen(self._home)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Take no more, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with opened_folder(self._home.run) as folder:
            _unlink_socket(folder)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS or not _is_ours(writer.get_extra_info("socket")):
            writer.close()
            return
        self._open += 1
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            self._open -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, {"ztmcp": __version__})
        try:
            async with asyncio.timeout(REQUEST_S):
                verb, arguments = _request(await reader.readline())
        except (TimeoutError, ValueError, RecursionError) as error:
            await _say(writer, _error(Denial(Code.SCHEMA_MISMATCH, f"no request: {error}")))
            return
        work = asyncio.ensure_future(self._answer(verb, arguments))
        # Whoever asked and went away is answered no longer: an open proposal is withdrawn.
        left = asyncio.ensure_future(reader.read(1))
        try:
            while not work.done() and not left.done():
                await asyncio.wait({work, left}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    await _say(writer, {"waiting": True})
            if work.done():
                await _say(writer, work.result())
        finally:
            work.cancel()
            left.cancel()
            await asyncio.wait({work, left})

    async def _answer(self, verb: str, arguments: JsonObject) -> JsonObject:
        try:
            return {"result": await self._plane.ask(verb, arguments)}
        except Denial as denial:
            return _error(denial)
        except Exception as fault:  # noqa: BLE001 - the root of a connection: whoever asked gets an answer
            logger.error("the verb %s failed: %s", verb[:64], type(fault).__name__)  # noqa: TRY400 - no values in logs
            return _error(Denial(Code.GATEWAY_FAULT, f"ztmcp failed in this ({type(fault).__name__}); nothing is sure"))


def _listen(home: Home) -> socket.socket:
    with opened_folder(home.run) as folder:
        _unlink_socket(folder)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(short_path(home.run, folder))
            os.chmod(NAME, 0o600, dir_fd=folder)
            listening.listen(MAX_CONNECTIONS)
        except OSError as error:
            listening.close()
            raise Denial(Code.GATEWAY_FAULT, f"the control socket cannot be made: {error.strerror}") from error
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


def _unlink_socket(folder: int) -> None:
    """Remove what an earlier gateway left; refuse to touch anything else."""
    try:
        found = os.stat(NAME, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Denial(Code.GATEWAY_FAULT, f"run/{NAME} is a link or no socket; remove it and start again")
    os.unlink(NAME, dir_fd=folder)


def _is_ours(connection: socket.socket) -> bool:
    """Whether the other end is this user; where the system does not tell, the folder's mode has decided."""
    if not sys.platform.startswith("linux"):
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return bool(uid == os.geteuid())


def _request(untrusted_line: bytes) -> tuple[str, JsonObject]:
    if not untrusted_line.endswith(b"\n"):
        raise ValueError("the line is not complete")
    match json.loads(untrusted_line):
        case {"verb": str(verb), "arguments": dict(arguments)}:
            return verb, arguments
        case _:
            raise ValueError("a verb and its arguments are expected")


def _error(denial: Denial) -> JsonObject:
    return {"error": {"code": denial.code.value, "reason": denial.reason}}


async def _say(writer: asyncio.StreamWriter, message: JsonObject) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    async with asyncio.timeout(REQUEST_S):
        await writer.drain()
