"""An MCP server over HTTP whose answers the test writes, and the gateway's upstreams before it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.behind import Behind, remote
from ztmcp_desktop.domain.denial import Denial

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
TOOL = {
    "name": "söld",
    "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
}


@dataclass
class Site:
    """An MCP server over HTTP whose answer to `tools/call` the test writes."""

    url: str = ""
    modern: bool = False
    on_call: Handler | None = None
    on_get: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    heard: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method == "DELETE":
            self.ended.append(headers["mcp-session-id"])
            return web.Response(status=200)
        if request.method == "GET":
            self.heard.append(headers)
            return await self.on_get(request) if self.on_get else web.Response(status=405)
        body = json.loads(await request.read())
        self.seen.append((body.get("method", ""), headers, body))
        if "id" not in body or "method" not in body:
            return web.Response(status=202)
        if body["method"] == "tools/call" and self.on_call:
            return await self.on_call(request, body)
        return self.answer(body)

    def answer(self, body: dict[str, Any]) -> web.Response:
        capabilities = {"capabilities": {"tools": {}}, "serverInfo": {"name": "site", "version": "1"}}
        results: dict[str, Any] = {
            "tools/list": {"tools": [TOOL]},
            "tools/call": {"content": [{"type": "text", "text": "hi"}], "big": 2**70},
        }
        if self.modern:
            results["server/discover"] = {"supportedVersions": ["2026-07-28"], **capabilities}
        else:
            results["initialize"] = {"protocolVersion": "2025-06-18", **capabilities}
        result = results.get(body["method"])
        if result is None:
            return web.json_response(
                {"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "x"}}, status=404
            )
        extra = {"resultType": "complete"} if self.modern else {}
        session = {"Mcp-Session-Id": "s-1"} if body["method"] == "initialize" else {}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result | extra}, headers=session)

    def calls(self) -> list[dict[str, str]]:
        return [headers for method, headers, _ in self.seen if method == "tools/call"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    yield found
    await runner.cleanup()


@pytest.fixture
async def behind(site: Site) -> AsyncIterator[Behind]:
    gateway = remote(site.url, result_bytes=100_000, call_s=3.0)
    yield gateway
    await gateway.close()


async def send(behind: Behind, **changes: Any) -> dict[str, Any]:
    return await behind.send(params={"name": "söld", "arguments": {"region": "eu\nwest"}}, **changes)


async def refusal(behind: Behind, **changes: Any) -> Denial:
    with pytest.raises(Denial) as caught:
        await send(behind, **changes)
    return caught.value
