import asyncio
import gzip
import json
from typing import Any

import pytest
import uvicorn
from aiohttp import web
from mcp.server.mcpserver import MCPServer

from tests.gateway.behind import Behind, SilentChannel, remote, until
from tests.gateway.remote_site import Site, behind, refusal, send, site
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.http_client import AiohttpClient

__all__ = ["behind", "site"]


@pytest.mark.attack("O3")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_takes_nothing_along(behind: Behind, site: Site, status: int) -> None:
    canary: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.append(await reader.read(10))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def away(request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{port}/"})

    await behind.approve()
    site.on_call = away
    denial = await refusal(behind, headers={"Authorization": "Bearer secret-of-site"})
    server.close()
    assert denial.code is Code.SERVER_UNAVAILABLE
    assert len(site.calls()) == 1
    assert canary == []


@pytest.mark.attack("O3")
async def test_a_redirect_within_the_origin_is_followed(behind: Behind, site: Site) -> None:
    async def slash(request: web.Request, body: dict[str, Any]) -> web.Response:
        if request.path.endswith("/"):
            return site.answer(body)
        return web.Response(status=307, headers={"Location": request.path + "/"})

    await behind.approve()
    site.on_call = slash
    assert (await send(behind))["big"] == 2**70


@pytest.mark.attack("O4")
async def test_only_the_servers_own_secrets_are_sent_and_no_header_of_ours_can_be_replaced(
    behind: Behind, site: Site
) -> None:
    await behind.approve()
    probed = len(site.seen)
    secrets = {"Authorization": "Bearer upstream", "Mcp-Session-Id": "forged", "Host": "evil", "X-Bad": "a\r\nb"}
    await send(behind, headers=secrets)
    headers = site.calls()[0]
    assert headers["authorization"] == "Bearer upstream"
    assert headers["mcp-session-id"] == "s-1"
    assert headers["host"].startswith("127.0.0.1:")
    assert "x-bad" not in headers
    assert "cookie" not in headers
    assert all("authorization" not in h for _, h, _ in site.seen[:probed])


async def test_a_handshake_server_gets_the_agreed_version_and_its_session_ended(behind: Behind, site: Site) -> None:
    await behind.approve()
    await send(behind)
    assert site.calls()[0]["mcp-protocol-version"] == "2025-06-18"
    await behind.upstreams.stop()
    assert "s-1" in site.ended


async def test_a_modern_server_gets_headers_made_from_the_body(behind: Behind, site: Site) -> None:
    site.modern = True
    await behind.approve()
    await send(behind, era=Era.MODERN)
    headers = site.calls()[0]
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "=?base64?c8O2bGQ=?="
    assert headers["mcp-param-region"] == "=?base64?ZXUKd2VzdA==?="
    assert "mcp-session-id" not in headers


@pytest.mark.parametrize("arguments", [{"region": None}, {}])
async def test_an_argument_without_a_value_has_no_header(behind: Behind, site: Site, arguments: dict[str, Any]) -> None:
    site.modern = True
    await behind.approve()
    await behind.send(era=Era.MODERN, params={"name": "söld", "arguments": arguments})
    assert "mcp-param-region" not in site.calls()[0]


@pytest.mark.parametrize("caller", list(Era))
@pytest.mark.parametrize("modern", [True, False])
async def test_plain_calls_work_in_all_four_pairings(behind: Behind, site: Site, caller: Era, modern: bool) -> None:
    site.modern = modern
    await behind.approve()
    result = await send(behind, era=caller)
    assert result["big"] == 2**70
    assert result.get("resultType") == ("complete" if caller is Era.MODERN else None)
    meta = site.seen[-1][2]["params"].get("_meta", {})
    assert ("io.modelcontextprotocol/protocolVersion" in meta) is modern


@pytest.mark.attack("N8")
async def test_an_answer_that_is_too_large_is_cut_off(behind: Behind, site: Site) -> None:
    async def large(request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.Response(body=b"[" * 1_000_000, content_type="application/json")

    await behind.approve()
    site.on_call = large
    assert (await refusal(behind)).code is Code.TOO_LARGE


@pytest.mark.attack("N8")
async def test_a_packed_answer_is_not_unpacked(behind: Behind, site: Site) -> None:
    async def bomb(request: web.Request, body: dict[str, Any]) -> web.Response:
        packed = gzip.compress(b" " * 50_000_000)
        return web.Response(body=packed, content_type="application/json", headers={"Content-Encoding": "gzip"})

    await behind.approve()
    site.on_call = bomb
    assert (await refusal(behind)).code is Code.SERVER_UNAVAILABLE


@pytest.mark.attack("N8")
@pytest.mark.parametrize(
    ("chunk", "code"), [(b": ping\n\n", Code.TOO_LARGE), (b"data: x", Code.TOO_LARGE), (b"", Code.TOO_SLOW)]
)
async def test_an_event_stream_without_an_end_is_cut_off(behind: Behind, site: Site, chunk: bytes, code: Code) -> None:
    gone = asyncio.Event()

    async def endless(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(chunk * 1000)
                await asyncio.sleep(0 if chunk else 0.02)
        except ConnectionError:
            gone.set()
        return response

    await behind.approve()
    site.on_call = endless
    assert (await refusal(behind)).code is code
    site.on_call = None
    assert (await send(behind))["big"] == 2**70
    if chunk:
        await until(gone.is_set)


@pytest.mark.attack("N9")
async def test_answers_to_other_requests_on_this_stream_are_dropped(behind: Behind, site: Site) -> None:
    async def forging(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        token = body["params"]["_meta"]["progressToken"]
        for message in (
            {"jsonrpc": "2.0", "id": "gw-1", "result": {"forged": True}},
            {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}},
            {"jsonrpc": "2.0", "id": body["id"], "result": {"forged": False}},
        ):
            await response.write(f"event: message\r\ndata: {json.dumps(message)}\r\n\r\n".encode())
        return response

    await behind.approve()
    site.on_call = forging
    channel = SilentChannel()
    params = {"name": "söld", "arguments": {}, "_meta": {"progressToken": "mine"}}
    assert await behind.send(params=params, channel=channel) == {"forged": False}
    assert channel.seen == [("notifications/progress", {"progressToken": "mine", "progress": 1})]


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, Code.NOBODY_THERE), *((status, Code.SERVER_UNAVAILABLE) for status in (403, 404, 429, 500, 503))],
)
async def test_errors_are_told_in_our_words(behind: Behind, site: Site, status: int, code: Code) -> None:
    async def failing(request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.Response(status=status, text="upstream text")

    await behind.approve()
    site.on_call = failing
    denial = await refusal(behind)
    assert denial.code is code
    assert "upstream text" not in denial.reason


async def test_an_error_of_the_server_passes_as_it_is(behind: Behind, site: Site) -> None:
    failure = {"code": -32602, "message": "no", "data": {"x": None}}

    async def failing(request: web.Request, body: dict[str, Any]) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "error": failure}, status=400)

    await behind.approve()
    site.on_call = failing
    reply = await behind.upstreams.send(behind.call("söld"))
    assert reply.is_error
    assert reply.body == failure


async def test_a_server_that_is_gone_fails_its_own_call(behind: Behind, site: Site) -> None:
    await behind.approve()
    behind.book.server = behind.server = remote("http://127.0.0.1:9/mcp").server
    behind.catalogue.approve_command(behind.server, None)
    with pytest.raises(Denial) as caught:
        await behind.upstreams.probe(behind.server, None)
    assert caught.value.code is Code.SERVER_UNAVAILABLE


async def test_the_proxies_of_the_environment_are_ignored(
    behind: Behind, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    await behind.approve()
    assert (await send(behind))["big"] == 2**70


@pytest.mark.parametrize("era", list(Era))
async def test_a_server_of_the_official_sdk_answers_in_both_eras(era: Era) -> None:
    official = MCPServer("official")

    @official.tool()
    def double(number: int) -> int:
        return number * 2

    config = uvicorn.Config(official.streamable_http_app(), port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    behind = remote(f"http://127.0.0.1:{port}/mcp")
    try:
        await behind.approve()
        result = await behind.send(era=era, params={"name": "double", "arguments": {"number": 21}})
        assert result["structuredContent"] == {"result": 42}
        assert result.get("resultType") == ("complete" if era is Era.MODERN else None)
    finally:
        await behind.close()
        server.should_exit = True
        await running


async def test_a_client_that_was_never_used_closes() -> None:
    await AiohttpClient().close()
