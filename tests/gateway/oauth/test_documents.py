import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.gateway.certificates import Certificates, certificates
from tests.gateway.front import front_door, until
from tests.gateway.oauth.kit import Browser, OAuthClient
from tests.gateway.test_outbound_guard import Names
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.gateway.http_client import AiohttpClient
from ztmcp_desktop.gateway.oauth.documents import MAX_BYTES, MAX_FETCHES, GuardedDocuments
from ztmcp_desktop.gateway.outbound_guard import GuardedResolver

__all__ = ["certificates"]
pytestmark = pytest.mark.attack("O1")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def hosted(answer: Answer, certificates: Certificates) -> AsyncIterator[int]:
    """A host of documents on this machine; its port."""
    app = web.Application()
    app.router.add_get("/client.json", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.server).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def documents(certificates: Certificates, *, internal: bool) -> AsyncIterator[GuardedDocuments]:
    """A fetcher for which the host of the document leads to this machine; only where `internal` may it go there."""
    hosts = frozenset({certificates.name}) if internal else frozenset()
    http = AiohttpClient(GuardedResolver(internal=hosts, lookup=Names(["127.0.0.1"])), certificates.client)
    try:
        yield GuardedDocuments(http)
    finally:
        await http.close()


async def test_a_real_document_is_read_and_lets_its_client_log_in(certificates: Certificates) -> None:
    async def answer(request: web.Request) -> web.Response:
        named = f"https://{request.host}{request.path}"
        return web.json_response(
            {"client_id": named, "client_name": "Editor", "redirect_uris": ["http://127.0.0.1/callback"]}
        )

    async with (
        hosted(answer, certificates) as port,
        documents(certificates, internal=True) as fetcher,
        front_door(documents=fetcher) as front,
    ):
        address = f"https://{certificates.name}:{port}/client.json"
        assert (await OAuthClient(front, address).log_in())["token_type"] == "Bearer"
        assert front.desk.asked[0].registration.claimed_name == "Editor"


async def test_a_document_that_leads_to_this_machine_gets_not_one_byte(certificates: Certificates) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({})

    async with (
        hosted(answer, certificates) as port,
        documents(certificates, internal=False) as fetcher,
        front_door(documents=fetcher) as front,
    ):
        for address in (f"https://{certificates.name}:{port}/client.json", f"https://localhost:{port}/client.json"):
            page = await Browser(front).get(OAuthClient(front, address).asking())
            assert (page.status, page.header("location")) == (400, None)
        assert front.desk.asked == []
    assert seen == []


@pytest.mark.attack("N7")
async def test_strangers_cannot_take_all_the_connections_that_servers_need(certificates: Certificates) -> None:
    seen, goes_on = 0, asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        await goes_on.wait()
        return web.json_response({})

    async with hosted(answer, certificates) as port, documents(certificates, internal=True) as fetcher:
        address = f"https://{certificates.name}:{port}/client.json"
        asking = [asyncio.create_task(fetcher.fetch(address)) for _ in range(20)]
        await until(lambda: seen >= MAX_FETCHES)
        await until(lambda: sum(one.done() for one in asking) == 20 - MAX_FETCHES)
        goes_on.set()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert seen == MAX_FETCHES
        assert sum(isinstance(one, Denial) for one in ended) == 20 - MAX_FETCHES
        # Those that are over make room.
        assert await fetcher.fetch(address) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: web.json_response({}, status=404),
        lambda: web.Response(text="{}", content_type="text/html"),
        lambda: web.json_response({"client_name": "x" * MAX_BYTES}),
        lambda: web.Response(status=302, headers={"Location": "https://elsewhere.example/client.json"}),
    ],
)
async def test_what_is_no_document_is_refused(certificates: Certificates, wrong: Callable[[], web.Response]) -> None:
    async def answer(request: web.Request) -> web.Response:
        return wrong()

    async with hosted(answer, certificates) as port, documents(certificates, internal=True) as fetcher:
        with pytest.raises(Denial):
            await fetcher.fetch(f"https://{certificates.name}:{port}/client.json")
