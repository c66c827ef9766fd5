"""The control socket: one line of JSON asks, one answers. Only this user reaches it."""

import asyncio
import json
import logging

from ztmcp_desktop import __version__
from ztmcp_desktop.control.socket_path import CONTROL, is_ours, listen_at, opened_folder, remove
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.ports import ControlPlane
from ztmcp_desktop.settings import Home

MAX_LINE_BYTES = 4 * 1024**2
MAX_CONNECTIONS = 16
REQUEST_S = 10.0
BEAT_S = 1.0
logger = logging.getLogger(__name__)


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
        listening = listen_at(self._home.run, CONTROL, MAX_CONNECTIONS)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Take no more, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with opened_folder(self._home.run) as folder:
            remove(folder, CONTROL)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS or not is_ours(writer.get_extra_info("socket")):
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
