"""A real front door on a real port, with a gate that the test plays."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from tests.fakes import FakeClock, FakeLedger, FakeStateStore
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.caller import Caller
from ztmcp_desktop.domain.client import LetIn, Login, Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import ItemKind, Offer
from ztmcp_desktop.domain.risk import Action
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.domain.subscription import LISTEN
from ztmcp_desktop.gateway.clients import Clients
from ztmcp_desktop.gateway.endpoint import Endpoint
from ztmcp_desktop.gateway.exchange import Timing
from ztmcp_desktop.gateway.http_server import HttpServer
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.listing import Listing
from ztmcp_desktop.gateway.oauth.door import OAuthParts
from ztmcp_desktop.gateway.oauth.pairing import PairingTime
from ztmcp_desktop.gateway.oauth.registry import Documents
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.gateway.sessions import Sessions
from ztmcp_desktop.ports import Pairing
from ztmcp_desktop.settings import Settings

ECHO = {
    "name": "echo",
    "inputSchema": {
        "type": "object",
        "properties": {"text": {"type": "string"}, "region": {"type": "string", "x-mcp-header": "Region"}},
    },
}
OFFER = Offer(
    legacy={
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "files", "version": "1"},
        "instructions": "Read with care.",
    },
    items={ItemKind.TOOL: (ECHO,)},
)
WAIT_S = 10.0


class OneOffer:
    """A catalogue that has approved `OFFER` of every server."""

    def offer(self, server: ServerName) -> Offer:
        return OFFER


class CountingClients(Clients):
    """Counts how often a token was looked at."""

    looked = 0

    def authenticate(self, untrusted_token: str, server: ServerName) -> Principal:
        self.looked += 1
        return super().authenticate(untrusted_token, server)


class PlayedDoorkeeper:
    """Answers each login as the test says, once it says so; remembers what was asked."""

    def __init__(self, clients: Clients, clock: FakeClock) -> None:
        self._clients = clients
        self._clock = clock
        self.asked: list[Login] = []
        self.withdrawn: list[Login] = []
        self.answer: Denial | None = None
        self.answered = asyncio.Event()
        self.answered.set()

    async def let_in(self, login: Login) -> LetIn:
        self.asked.append(login)
        try:
            await self.answered.wait()
        except asyncio.CancelledError:
            self.withdrawn.append(login)
            raise
        if self.answer is not None:
            raise self.answer
        name = login.known_as or ClientName("logged-in")
        client = self._clients.let_in(name, login.registration, login.server, login.rights)
        return LetIn(client=client, expires=self._clock.now() + timedelta(days=30))


class TwoServers:
    """The servers `files` and `mail`."""

    def get(self, name: ServerName) -> Server:
        if name not in {"files", "mail"}:
            raise Denial(Code.NOT_PERMITTED, f"there is no server {name}")
        return Server(name=name, endpoint=LocalCommand(argv=("true",)), limits=Limits())


class NoDocuments:
    """A gateway that reads no documents."""

    available = False

    async def fetch(self, url: str) -> JsonObject:
        raise Denial(Code.NOT_PERMITTED, "no documents are read")


async def echo(call: Call) -> Reply:
    return Reply(body={"content": [{"type": "text", "text": str(call.arguments.get("text"))}]})


class PlayedGate:
    """Answers lists from the catalogue and everything else with `act`; remembers what came."""

    def __init__(self) -> None:
        self.act: Callable[[Call], Awaitable[Reply]] = echo
        self.seen: list[Call] = []
        self.noticed: list[str] = []
        self.withdrawn: list[Call] = []
        self.listing = Listing(OneOffer())  # type: ignore[arg-type]

    async def run(self, call: Call) -> Reply:
        self.seen.append(call)
        if call.action is Action.LIST and call.method != LISTEN:
            return self.listing.answer(call)
        try:
            return await self.act(call)
        except asyncio.CancelledError:
            self.withdrawn.append(call)
            raise

    async def notice(
        self, principal: Principal, server: ServerName, method: str, params: JsonObject | None, caller: Caller
    ) -> None:
        self.noticed.append(method)


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        return [json.loads(line[6:]) for line in self.body.decode().splitlines() if line.startswith("data: ")]


@dataclass
class Front:
    port: int
    endpoint: Endpoint
    gate: PlayedGate
    clients: CountingClients
    ledger: FakeLedger
    clock: FakeClock
    desk: "PlayedDoorkeeper"
    pairing: Pairing
    listeners: Listeners
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def causes(self) -> list[str]:
        return [cause for cause, _ in self.ledger.rejected]

    def url(self, server: str = "files") -> str:
        return f"http://127.0.0.1:{self.port}/s/{server}/mcp"

    def token(self, client: str = "tests", *servers: str) -> str:
        if client not in self.tokens:
            named = tuple(ServerName(name) for name in servers or ("files",))
            self.tokens[client] = self.clients.add(ClientName(client), named, 3600).open()
        return self.tokens[client]

    def headers(self, client: str = "tests", **extra: str) -> dict[str, str]:
        return {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {self.token(client)}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **{name.replace("_", "-"): value for name, value in extra.items()},
        }

    async def raw(self, data: bytes) -> Response:
        """What the server sends until it closes or the body is complete."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(WAIT_S):
                return await read_response(reader)
        finally:
            writer.close()

    async def post(
        self, message: object, *, path: str = "/s/files/mcp", method: str = "POST", **headers: str
    ) -> Response:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.raw(request(body, self.headers(**headers), path=path, method=method))

    async def initialize(self, client: str = "tests", **capabilities: object) -> str:
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t"}}
        answer = await self.post(rpc("initialize", params, 0), client=client)
        session = answer.header("mcp-session-id")
        if session is None:
            raise AssertionError(answer)
        return session


def request(
    body: bytes, headers: dict[str, str] | list[tuple[str, str]], *, path: str = "/s/files/mcp", method: str = "POST"
) -> bytes:
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    if not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in pairs):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def rpc(method: str, params: JsonObject | None = None, number: object = 1) -> JsonObject:
    message: JsonObject = {"jsonrpc": "2.0", "id": number, "method": method}
    return message if params is None else {**message, "params": params}


def tool_call(text: str = "hi", number: object = 1, **more: object) -> JsonObject:
    return rpc("tools/call", {"name": "echo", "arguments": {"text": text}, **more}, number)


def modern(message: JsonObject, **capabilities: object) -> JsonObject:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    params = dict(message.get("params") or {})
    return {**message, "params": {**params, "_meta": {**params.get("_meta", {}), **meta}}}


def modern_headers(method: str = "tools/call", name: str | None = "echo") -> dict[str, str]:
    found = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": method}
    return found if name is None else {**found, "Mcp_Name": name}


async def read_response(reader: asyncio.StreamReader) -> Response:
    head = await read_head(reader)
    length = head.header("content-length")
    body = await reader.readexactly(int(length)) if length else await read_chunks(reader)
    return Response(head.status, head.headers, body)


async def read_head(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.split(": ", 1) for line in head[1:] if line]
    return Response(int(head[0].split(" ")[1]), [(name.lower(), value) for name, value in pairs], b"")


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    return body


async def read_event(reader: asyncio.StreamReader) -> Any:
    """The next message on a stream."""
    async with asyncio.timeout(WAIT_S):
        return json.loads((await reader.readuntil(b"}\r\n\r\n")).split(b"data: ")[1])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0.005)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refuses(code: Code, reason: str = "no") -> Callable[[Call], Awaitable[Reply]]:
    async def act(call: Call) -> Reply:
        raise Denial(code, reason)

    return act


def oauth_parts(clients: Clients, clock: FakeClock, peers: Peers, documents: Documents | None = None) -> OAuthParts:
    """What logging in stands on, with a doorkeeper that the test plays."""
    return OAuthParts(
        servers=TwoServers(),  # type: ignore[arg-type]
        doorkeeper=PlayedDoorkeeper(clients, clock),
        peers=peers,
        pairing=PairingTime(clock),
        documents=documents or NoDocuments(),
        logins=clients.logins,
    )


@asynccontextmanager
async def front_door(
    timing: Timing | None = None, documents: Documents | None = None, **settings: Any
) -> AsyncIterator[Front]:
    clock, gate, ledger, listeners, peers = FakeClock(), PlayedGate(), FakeLedger(), Listeners(), Peers()
    set_up = replace(Settings(port=free_port()), **settings)
    clients = CountingClients(FakeStateStore(), clock, Sessions(clock, set_up.session_idle_s))
    oauth = oauth_parts(clients, clock, peers, documents)
    endpoint = Endpoint(
        gate=gate,
        clients=clients,
        catalogue=OneOffer(),  # type: ignore[arg-type]
        ledger=ledger,
        settings=set_up,
        clock=clock,
        oauth=oauth,
        peers=peers,
        timing=timing,
        listeners=listeners,
    )
    server = HttpServer(endpoint.app, set_up.port)
    await endpoint.start()
    await server.start()
    try:
        desk, pairing = oauth.doorkeeper, oauth.pairing
        assert isinstance(desk, PlayedDoorkeeper)
        yield Front(set_up.port, endpoint, gate, clients, ledger, clock, desk, pairing, listeners)
    finally:
        await endpoint.stop()
        await server.stop()
