import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.gateway.certificates import Certificates, certificates
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.gateway.fetch import MAX_DOCUMENT_BYTES, fetch
from ztmcp_desktop.gateway.http_client import AiohttpClient
from ztmcp_desktop.gateway.outbound_guard import (
    PUBLIC,
    AddressInfo,
    GuardedResolver,
    Place,
    Reach,
    admit,
    own_reach,
    place,
    read,
)

__all__ = ["certificates"]
pytestmark = pytest.mark.attack("O1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HERE = Reach(here=True)
NOT_PUBLIC = [
    *("127.0.0.1", "127.9.9.9", "[::1]", "localhost"),
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fc00::1]", "[fd12:3456::1]"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "[fd00:ec2::254]", "[fe80::1]"),
    *("0.0.0.0", "0.1.2.3", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "[ff02::1]", "[::]"),
    *("[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:1.2.3.4]", "[::127.0.0.1]", "[::7f00:1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b::102:304]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001:0:1::1]", "[fec0::1]"),
    *("[2001:db8::1]", "[2606:4700:0:0:0:5efe:7f00:1]", "[2606:4700::200:5efe:7f00:1]", "[5f00::1]", "[4000::1]"),
]
ODD = [
    *("0x7f.1", "0x7f000001", "2130706433", "127.1", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "1.2.3.4.5", "0x"),
    *("localhost.", "example.com.", "a..b", "-a.b", "a" * 64 + ".com", ".".join(["a" * 60] * 5)),
    *("[::1%25lo]", "[fe80::1%eth0]", "[1.2.3.4]", "[::1", "[]", "", "\N{FULLWIDTH DIGIT ONE}27.0.0.1"),
    *("127\N{IDEOGRAPHIC FULL STOP}0.0.1", "ex%61mple.com", "a@127.0.0.1", "a:b@127.0.0.1", "example.com:0"),
    *("example.com:65536", "example.com:", "example.com:+1", "example.com\\@127.0.0.1", "example.com#@127.0.0.1"),
    *(
        "127.0.0.1 .example.com",
        "127.0.0.1\t",
        "127.0.0.1\n.example.com",
        "b\N{LATIN SMALL LETTER U WITH DIAERESIS}.de",
    ),
]


@dataclass
class Canary:
    """Listens on this machine, and keeps every connection and byte."""

    port: int = 0
    connections: int = 0
    heard: bytearray = field(default_factory=bytearray)

    async def listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while found := await reader.read(100):
            self.heard += found
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    found = Canary()
    # On all of loopback, so that other spellings of it would arrive too.
    servers = [await asyncio.start_server(found.listen, "0.0.0.0", 0)]
    found.port = servers[0].sockets[0].getsockname()[1]
    servers.append(await asyncio.start_server(found.listen, "::", found.port))
    yield found
    for server in servers:
        server.close()


@asynccontextmanager
async def served(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A site on this machine; its address there."""
    app = web.Application()
    app.router.add_route("*", "/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


class Names:
    """A resolver under the test's control: gives its answers one after the other, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = deque(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:
        self.asked += 1
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.popleft()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in answer]


@pytest.fixture
async def clients() -> AsyncIterator[list[AiohttpClient]]:
    made: list[AiohttpClient] = []
    yield made
    for client in made:
        await client.close()


async def refused(client: AiohttpClient, url: str, reach: Reach = PUBLIC) -> Denial:
    with pytest.raises(Denial) as caught:
        await fetch(client, url, reach)
    assert caught.value.code is Code.SERVER_UNAVAILABLE
    return caught.value


@pytest.mark.parametrize("host", NOT_PUBLIC)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_not_one_byte_reaches_what_is_no_public_address(
    canary: Canary, clients: list[AiohttpClient], scheme: str, host: str
) -> None:
    clients.append(AiohttpClient())
    await refused(clients[0], f"{scheme}://{host}:{canary.port}/x")
    assert (canary.connections, canary.heard) == (0, b"")


@pytest.mark.parametrize("host", ODD)
async def test_not_one_byte_reaches_an_address_in_an_odd_spelling(
    canary: Canary, clients: list[AiohttpClient], host: str
) -> None:
    clients.append(AiohttpClient())
    url = f"http://{host}" if ":" in host.rpartition("]")[2] else f"http://{host}:{canary.port}"
    for reach in (PUBLIC, HERE):
        await refused(clients[0], url, reach)
        await refused(clients[0], url.replace("http:", "https:"), reach)
    assert (canary.connections, canary.heard) == (0, b"")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://127.0.0.1/", "file:///etc/passwd", "javascript:alert(1)", "//127.0.0.1/", "127.0.0.1", "https:/x"),
        *("HTTPS://example.com/", "https://example.com/\\x", 'https://example.com/"', "https://example.com/\r\nX: y"),
        *("https://example.com/" + "a" * 2048, "https://example.com/ ", " https://example.com/", "https://[::1]x/", ""),
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(Denial):
        read(url)


def test_an_address_is_read_into_one_spelling() -> None:
    assert str(read("https://EXAMPLE.com:443/a%20b?c=%2F").url) == "https://example.com/a%20b?c=%2F"
    assert str(read("https://[2606:4700:0:0::1]/").url) == "https://[2606:4700::1]/"
    assert read("https://xn--bcher-kva.example").host == "xn--bcher-kva.example"


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:4700::1]", "example.com", "a_b.example-1.co"])
def test_public_addresses_and_names_are_for_the_resolver_to_say(host: str) -> None:
    assert admit(f"https://{host}/", PUBLIC).place in {Place.PUBLIC, None}
    with pytest.raises(Denial):
        admit(f"http://{host}/", HERE)


@pytest.mark.parametrize(
    ("configured", "allowed", "refused"),
    [
        ("http://127.0.0.1:1/", ["http://localhost:2/", "https://[::1]/"], ["http://10.0.0.1/", "https://10.0.0.1/"]),
        (
            "https://10.0.0.1/",
            ["https://10.0.0.1:8443/"],
            ["https://10.0.0.2/", "http://10.0.0.1/", "http://127.0.0.1/"],
        ),
        ("https://example.com/", ["https://other.example/"], ["https://127.0.0.1/", "https://10.0.0.1/"]),
    ],
)
def test_a_server_may_name_what_its_own_address_could_be(
    configured: str, allowed: list[str], refused: list[str]
) -> None:
    for url in allowed:
        assert admit(url, own_reach(configured)).host
    for url in refused:
        with pytest.raises(Denial):
            admit(url, own_reach(configured))


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:10.0.0.1]", "100.100.100.200"])
def test_nobody_can_configure_an_address_of_special_use(host: str) -> None:
    with pytest.raises(Denial):
        admit(f"https://{host}/", own_reach(f"https://{host}/"))


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["10.1.1.1"], ["::1"], ["::ffff:127.0.0.1"], ["fe80::1%1"]],
)
async def test_a_name_with_one_odd_address_is_refused_whole(
    canary: Canary, clients: list[AiohttpClient], answer: list[str]
) -> None:
    clients.append(AiohttpClient(GuardedResolver(lookup=Names(answer))))
    reason = (await refused(clients[0], f"https://evil.example:{canary.port}/", HERE)).reason
    assert "internal_hosts" in reason
    assert (canary.connections, canary.heard) == (0, b"")


async def test_a_name_that_turns_round_after_it_was_checked_leads_nowhere_else(
    canary: Canary, clients: list[AiohttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[object] = []

    async def nobody_there(sock: socket.socket, address: object) -> None:
        went.append(address)
        raise ConnectionRefusedError

    loop = asyncio.get_running_loop()
    # The first answer is fit; each later one is this machine.
    names = Names(["1.2.3.4"], ["127.0.0.1"])
    clients += [AiohttpClient(resolver := GuardedResolver(lookup=names)), AiohttpClient(resolver)]
    with monkeypatch.context() as patched:
        patched.setattr(loop, "sock_connect", nobody_there)
        await refused(clients[0], f"https://evil.example:{canary.port}/", HERE)
    assert (went, names.asked) == ([("1.2.3.4", canary.port)], 1)
    await refused(clients[1], f"https://evil.example:{canary.port}/", HERE)
    assert (canary.connections, canary.heard, names.asked) == (0, b"", 2)


async def test_the_connection_goes_to_the_very_address_that_was_checked(
    certificates: Certificates, clients: list[AiohttpClient]
) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.append(request.transport.get_extra_info("sockname")[0])
        return web.json_response({"host": request.host})

    # Checked is 127.0.0.2; whoever asked once more would be sent to 127.0.0.3.
    names = Names(["127.0.0.2"], ["127.0.0.3"])
    resolver = GuardedResolver(internal=frozenset({certificates.name}), lookup=names)
    clients.append(AiohttpClient(resolver, certificates.client))
    async with served(answer, "0.0.0.0", certificates.server) as url:
        named = f"{certificates.name}:{read(url).port}"
        document = await fetch(clients[0], f"https://{named}/", PUBLIC)
    assert document.content == {"host": named}
    assert (seen, names.asked) == (["127.0.0.2"], 1)


async def test_a_certificate_must_be_for_the_name_and_from_an_authority(
    certificates: Certificates, clients: list[AiohttpClient]
) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({})

    internal = frozenset({certificates.name, "other.example"})
    async with served(answer, tls=certificates.server) as url:
        for name, tls in ((certificates.name, None), ("other.example", certificates.client)):
            clients.append(AiohttpClient(GuardedResolver(internal, Names(["127.0.0.1"])), tls))
            await refused(clients[-1], f"https://{name}:{read(url).port}/")
    assert seen == []


@pytest.mark.parametrize("answer", [["169.254.169.254"], ["224.0.0.1"], ["::ffff:10.0.0.1"]])
async def test_a_name_that_is_internal_still_has_no_address_of_special_use(answer: list[str]) -> None:
    resolver = GuardedResolver(frozenset({"corp.example"}), Names(answer))
    with pytest.raises(Denial):
        await resolver.resolve("corp.example", 443)


async def test_localhost_is_asked_of_nobody() -> None:
    names = Names(["93.184.216.34"])
    found = await GuardedResolver(lookup=names).resolve("localhost", 80)
    assert [result["host"] for result in found] == ["127.0.0.1", "::1"]
    assert names.asked == 0


@pytest.mark.attack("O3")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_within_here_are_not_followed_to_another_origin(
    canary: Canary, clients: list[AiohttpClient], status: int
) -> None:
    target = f"http://127.0.0.1:{canary.port}/"

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": target})

    async with served(away) as url:
        clients.append(AiohttpClient())
        for secret in ({"Authorization": "Bearer marked"}, {"X-Key": "marked"}):
            with pytest.raises(Denial):
                await fetch(clients[0], url, HERE, method="POST", headers=secret, body=b"marked")
            with pytest.raises(Denial):
                await fetch(clients[0], url, HERE, headers=secret)
    assert (canary.connections, canary.heard) == (0, b"")


@pytest.mark.attack("N8")
async def test_a_document_that_is_too_large_is_cut_off(clients: list[AiohttpClient]) -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b" " * (MAX_DOCUMENT_BYTES + 1), content_type="application/json")

    async with served(large) as url:
        clients.append(AiohttpClient())
        with pytest.raises(Denial) as caught:
            await fetch(clients[0], url, HERE)
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.attack("N8")
async def test_a_document_that_takes_too_long_is_given_up(
    clients: list[AiohttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ztmcp_desktop.gateway.fetch.FETCH_S", 0.3)

    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(100):
                await response.write(b" ")
                await asyncio.sleep(0.05)
        return response

    async with served(drips) as url:
        clients.append(AiohttpClient())
        with pytest.raises(Denial) as caught:
            await fetch(clients[0], url, HERE)
    assert caught.value.code is Code.TOO_SLOW


def test_each_special_address_is_named_for_what_it_is() -> None:
    places = {str(target.ip): place(target.ip) for host in NOT_PUBLIC if (target := read(f"http://{host}/")).ip}
    assert places["10.0.0.1"] is Place.PRIVATE
    assert places["169.254.169.254"] is Place.NOWHERE
    assert Place.PUBLIC not in places.values()
