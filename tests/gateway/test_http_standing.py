"""What remote servers say outside of answers: the GET stream of the older era, the standing answer of the newer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.behind import Behind, remote, until
from tests.gateway.ear import Ear
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway import http_standing

TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
CHANGED = {"method": "notifications/tools/list_changed"}
RESULT_BYTES = 10_000
Handler = Callable[[web.StreamResponse], Awaitable[None]]


def event(message: JsonObject) -> bytes:
    return b"data: " + json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n\n"


@dataclass
class Site:
    """A server whose stream the test writes; `status` other than 200 is what a stream is refused with."""

    modern: bool = False
    status: int = 200
    url: str = ""
    streams: list[web.StreamResponse] = field(default_factory=list)
    opened: list[dict[str, str]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            self.opened.append({name.lower(): value for name, value in request.headers.items()})
            return await self.stream(request, b": open\n\n") if self.status == 200 else web.Response(status=self.status)
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

    def cut(self) -> None:
        """End every stream; later ones stay open."""
        self.hold.set()
        self.hold = asyncio.Event()


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
        await behind.send(era=Era.MODERN if site.modern else Era.LEGACY)
        yield behind, ear
    finally:
        await behind.close()
        site.hold.set()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_standing, "FIRST_PAUSE_S", 0.01)


@pytest.mark.parametrize("status", [405, 404, 401])
async def test_a_server_that_has_no_stream_is_asked_for_it_once(status: int) -> None:
    site = Site(status=status)
    async with standing(site) as (behind, _):
        await until(lambda: site.opened)
        await behind.send()
        await asyncio.sleep(0.1)
        assert len(site.opened) == 1


async def test_a_busy_server_is_asked_again() -> None:
    site = Site(status=503)
    async with standing(site):
        await until(lambda: len(site.opened) > 1)


async def test_an_answer_on_it_is_nobodys() -> None:
    site = Site()
    async with standing(site) as (behind, ear):
        await until(lambda: site.streams)
        await site.say({"id": "gw-2", "result": {"content": []}}, {"method": 7}, CHANGED)
        await until(lambda: ear.heard)
        dropped = [row.body["what"] for row in behind.ledger.rows if row.body.get("event") == "dropped"]
        assert dropped == ["answer-to-nothing", "not-a-message"]


async def test_what_is_said_on_it_is_heard_and_it_is_opened_again_when_it_ends() -> None:
    site = Site()
    async with standing(site) as (_, ear):
        await until(lambda: site.streams)
        assert site.opened[0]["mcp-protocol-version"] == "2025-11-25"
        assert site.opened[0]["accept"] == "text/event-stream"
        await site.say(CHANGED)
        await until(lambda: ear.heard)
        site.cut()
        await until(lambda: len(site.streams) == 2)
        await site.say(CHANGED)
        await until(lambda: len(ear.heard) == 2)


async def test_a_standing_answer_may_be_longer_in_all_than_any_other_but_not_in_one_piece() -> None:
    site = Site(modern=True)
    async with standing(site) as (_, ear):
        await until(lambda: site.streams)
        meta = {"io.modelcontextprotocol/subscriptionId": site.opened[-1]["id"]}
        piece: dict[str, Any] = {**CHANGED, "params": {"_meta": meta, "note": "x" * (RESULT_BYTES // 2)}}
        for _ in range(12):
            await site.say(piece)
        await site.say({**CHANGED, "params": {"_meta": meta, "note": "last"}})
        await until(lambda: ear.heard and ear.heard[-1][1].get("note") == "last")
        assert len(site.opened) == 1
        await site.say({**piece, "params": {**piece["params"], "note": "x" * 100 * RESULT_BYTES}})
        await until(lambda: len(site.opened) == 2)
