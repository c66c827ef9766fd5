"""What remote servers say outside of answers: the GET stream of the older era, the standing answer of the newer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.gateway.behind import Behind, remote, until
from tests.gateway.ear import Ear
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import SUBSCRIPTION_ID

TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
CHANGED = {"method": "notifications/tools/list_changed"}
RESULT_BYTES = 10_000
Handler = Callable[[web.StreamResponse], Awaitable[None]]


def event(message: JsonObject) -> bytes:
    return b"data: " + json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n\n"


@dataclass
class Site:
    """A server whose stream the test writes."""

    modern: bool = False
    url: str = ""
    streams: list[web.StreamResponse] = field(default_factory=list)
    opened: list[dict[str, str]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            self.opened.append({name.lower(): value for name, value in request.headers.items()})
            return await self.stream(request, b": open\n\n")
        if request.method == "DELETE":
            return web.Response(status=200)
        body = json.loads(await request.read())
        if body.get("method") == "subscriptions/listen":
            meta = {"io.modelcontextprotocol/subscriptionId": body["id"]}
            params = {"_meta": meta, "notifications": body["params"]["notifications"]}
            acknowledged = {"method": "notifications/subscriptions/acknowledged", "params": params}
            self.opened.append({"id": body["id"]})
            return await self.stream(request, event(acknowledged))
        if "id" not in body:
            return web.Response(status=202)
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], **self.answer(body["method"])})

    def answer(self, method: str) -> JsonObject:
        said = {"capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "site", "version": "1"}}
        match method:
            case "initialize" if not self.modern:
                return {"result": {"protocolVersion": "2025-11-25", **said}}
            case "server/discover" if self.modern:
                return {"result": {"supportedVersions": ["2026-07-28"], "resultType": "complete", **said}}
            case "tools/list":
                return {"result": {"tools": [TOOL]}}
            case "tools/call":
                return {"result": {"content": []}}
            case _:
                return {"error": {"code": -32601, "message": "unknown"}}

    async def stream(self, request: web.Request, first: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(first)
        self.streams.append(response)
        await self.hold.wait()
        return response

    async def say(self, *messages: JsonObject) -> None:
        for message in messages:
            await self.streams[-1].write(event(message))


@asynccontextmanager
async def standing(site: Site) -> AsyncIterator[tuple[Behind, Ear]]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", site.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    behind, ear = remote(site.url, result_bytes=RESULT_BYTES), Ear()
    behind.listeners.join(ear)
    try:
        await behind.approve()
        # The probe listens too.
        site.opened.clear()
        site.streams.clear()
        await behind.send(era=Era.MODERN if site.modern else Era.LEGACY)
        yield behind, ear
    finally:
        await behind.close()
        site.hold.set()
        await runner.cleanup()


async def test_what_a_remote_server_says_on_its_stream_reaches_who_listens() -> None:
    site = Site()
    async with standing(site) as (_, ear):
        await until(lambda: site.streams)
        await site.say(CHANGED)
        await until(lambda: ear.heard)


@pytest.mark.parametrize("modern", [False, True])
async def test_a_standing_answer_may_be_longer_in_all_than_any_other_but_not_in_one_piece(modern: bool) -> None:
    site = Site(modern=modern)
    async with standing(site) as (_, ear):
        await until(lambda: site.streams)
        meta = {"_meta": {SUBSCRIPTION_ID: site.opened[-1]["id"]}} if modern else {}
        for _ in range(12):
            ear.heard.clear()
            await site.say({**CHANGED, "params": {**meta, "note": "x" * (RESULT_BYTES // 2)}})
            await until(lambda: ear.heard)
        assert len(site.opened) == 1
        await site.say({**CHANGED, "params": {**meta, "note": "x" * 100 * RESULT_BYTES}})
        await until(lambda: len(site.opened) == 2)
