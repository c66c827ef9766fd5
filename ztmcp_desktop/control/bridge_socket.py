"""The bridge's socket, beside the control socket: after a proof on both sides, JSON-RPC and no verb of ours."""

import asyncio
import contextlib
import os
import select
import socket

from ztmcp_desktop.control import bridge_proof as proof
from ztmcp_desktop.control.bridge_proof import NoProof
from ztmcp_desktop.control.pairing import Pairing
from ztmcp_desktop.control.socket_path import BRIDGE, is_ours, listen_at, opened_folder, remove
from ztmcp_desktop.domain.caller import Attested, Caller, Unknown
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import ServerName, is_name
from ztmcp_desktop.gateway.answers import DENIED, error
from ztmcp_desktop.gateway.peers import Held, Peers
from ztmcp_desktop.gateway.pipes import Pipes
from ztmcp_desktop.gateway.wire import RequestId, dump, parse, request_id
from ztmcp_desktop.ports import Ledger
from ztmcp_desktop.settings import Home, Settings

HANDSHAKE_S = 5.0
MAX_CONNECTIONS = 96
REFUSING_S = 2.0
MAX_REFUSALS = 16
BEAT_S = 0.5


class BridgeSocket:
    """Serves `run/bridge.sock`: lets in who proves to belong to this home, and whom the person let in."""

    def __init__(  # noqa: PLR0913 - what it lets people into, and who decides
        self, home: Home, *, settings: Settings, peers: Peers, pairing: Pairing, pipes: Pipes, ledger: Ledger
    ) -> None:
        self._home = home
        self._settings = settings
        self._peers = peers
        self._pairing = pairing
        self._pipes = pipes
        self._ledger = ledger
        self._key = b""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make a new key, and listen.

        Raises:
            Denial: the socket or the key cannot be made (`gateway-fault`).
        """
        self._key = proof.make_key(self._home.state)
        listening = listen_at(self._home.run, BRIDGE, MAX_CONNECTIONS)
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=self._settings.request_bytes)

    async def stop(self) -> None:
        """Take no more, end what waits for a yes, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        await self._pipes.stop()
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(set(self._open), timeout=REFUSING_S)
        with opened_folder(self._home.run) as folder:
            remove(folder, BRIDGE)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MAX_CONNECTIONS or not is_ours(writer.get_extra_info("socket")):
            writer.close()
            return
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                server = await self._prove(reader, writer)
            # The look needs a socket of its own: the transport's may close meanwhile.
            with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as kept:
                await self._let_in(kept, server, reader, writer)
        except (NoProof, TimeoutError, EOFError):
            await self._reject("bridge-proof", Code.UNAUTHENTICATED, "")
        except (OSError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _prove(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ServerName:
        """The server that a bridge of this home asks for; what it says first gives it our proof, and nothing more."""
        hello = proof.read(await self._short_line(reader))
        theirs, ours = proof.require_nonce(hello.get("nonce")), proof.new_nonce()
        writer.write(proof.written({"nonce": ours, "proof": proof.proof_of(self._key, "gateway", theirs, ours)}))
        await writer.drain()
        said = proof.read(await self._short_line(reader))
        server = said.get("server")
        if not isinstance(server, str) or not is_name(server):
            raise NoProof("it names no server")
        proof.require_proof(said.get("proof"), self._key, "bridge", theirs, ours, server)
        return ServerName(server)

    async def _short_line(self, reader: asyncio.StreamReader) -> bytes:
        """A line of the handshake, without waiting for the end of one that is too long."""
        line = bytearray()
        while len(line) < proof.MAX_LINE_BYTES and not line.endswith(b"\n"):
            line += await reader.readexactly(1)
        return bytes(line)

    async def _let_in(
        self, kept: socket.socket, server: ServerName, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            caller = _told(await self._peers.caller(Held(where=kept)))
            principal = await self._admitted(caller, server, kept)
            await self._pipes.serve(caller, principal, server, reader, writer)
        except Denial as denial:
            await self._reject("bridge", denial.code, server)
            await self._refuse(denial, reader, writer)

    async def _admitted(self, caller: Attested, server: ServerName, kept: socket.socket) -> Principal:
        """Who it is, as soon as the person has let it in. A client that leaves meanwhile takes the question along."""
        asking = asyncio.ensure_future(self._pairing.admit(caller, server))
        try:
            while not asking.done():
                await asyncio.wait({asking}, timeout=BEAT_S)
                if not asking.done() and _has_left(kept):
                    raise Denial(Code.WITHDRAWN, "the client gave up")
            return asking.result()
        finally:
            asking.cancel()
            await asyncio.wait({asking})

    async def _refuse(self, denial: Denial, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what the client asks with the refusal, so that it can say why it has no server; then close."""
        with contextlib.suppress(TimeoutError, EOFError, OSError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REFUSING_S):
                for _ in range(MAX_REFUSALS):
                    number = self._request_in(await reader.readuntil(b"\n"))
                    if number is not None:
                        said = error(number, DENIED, denial.reason, {"code": denial.code.value})
                        writer.write(dump(said) + b"\n")
                        await writer.drain()

    def _request_in(self, untrusted_line: bytes) -> RequestId | None:
        try:
            message = parse(untrusted_line, self._settings.max_json_depth)
            return request_id(message) if "method" in message else None
        except Denial:
            return None

    async def _reject(self, cause: str, code: Code, server: str) -> None:
        draft = Draft(kind=EntryKind.REJECTED, server=server, outcome=Outcome.DENIED, code=code, body={"cause": cause})
        await self._ledger.reject(draft, cause)


def _told(caller: Caller) -> Attested:
    if isinstance(caller, Unknown):
        raise Denial(Code.UNAUTHENTICATED, f"the system does not say which program asks: {caller.why}")
    return caller


def _has_left(connection: socket.socket) -> bool:
    """Whether the other end was closed; where the system does not tell, it is there until it says nothing."""
    hung_up = getattr(select, "POLLRDHUP", 0)
    if not hung_up:
        return False
    poller = select.poll()
    poller.register(connection, hung_up)
    return bool(poller.poll(0))
