"""What a remote server of the handshake era says on streams of its own, and answers that it leaves and goes on with."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.behind import Behind, SilentChannel, remote, until
from tests.gateway.remote_site import Site, behind, refusal, send, site
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.offer import Era

__all__ = ["behind", "site"]

FORM = {"message": "your name?", "requestedSchema": {"type": "object", "properties": {}}}


class Left:
    """A tool whose answer's stream the server leaves after its first event, to be asked for the rest."""

    def __init__(self, site: Site, first: bytes, *rest: list[dict[str, Any]]) -> None:
        self._first, self._rest = first, list(rest)
        self.left_at = self.resumed_at = 0.0
        self.id = ""
        site.on_call, site.on_get = self.call, self.resumed

    async def call(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.id = body["id"]
        stream = await opened(request)
        await stream.write(self._first)
        self.left_at = asyncio.get_running_loop().time()
        return stream

    async def resumed(self, request: web.Request) -> web.StreamResponse:
        if "Last-Event-ID" not in request.headers:
            return web.Response(status=405)
        self.resumed_at = asyncio.get_running_loop().time()
        stream = await opened(request)
        for number, message in enumerate(self._rest.pop(0)):
            own = {"id": self.id} if "result" in message else {}
            await stream.write(b"id: rest-%d\r\n" % number + framed({"jsonrpc": "2.0", **own, **message}))
        return stream


async def opened(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    return stream


def framed(message: dict[str, Any]) -> bytes:
    return b"event: message\r\ndata: " + json.dumps(message).encode() + b"\r\n\r\n"


def resumptions(site: Site) -> list[dict[str, str]]:
    return [headers for headers in site.heard if "last-event-id" in headers]


async def test_an_answer_that_was_left_without_a_mark_is_not_asked_for_again(behind: Behind, site: Site) -> None:
    await behind.approve()
    Left(site, b"retry: 100\r\ndata: \r\n\r\n")
    assert (await refusal(behind)).reason == "the server ended its answer early"
    assert resumptions(site) == []


async def test_a_server_that_does_not_go_on_fails_the_call(behind: Behind, site: Site) -> None:
    await behind.approve()
    Left(site, b"id: 7\r\nretry: 100\r\ndata: \r\n\r\n")
    site.on_get = None
    assert (await refusal(behind)).reason == "the server ended its answer early"
    assert len(resumptions(site)) == 1


async def test_a_server_that_never_comes_to_an_end_is_too_slow(site: Site) -> None:
    behind = remote(site.url, call_s=0.5)
    await behind.approve()
    Left(site, b"id: 7\r\nretry: 0\r\ndata: \r\n\r\n", *([] for _ in range(50)))
    assert (await refusal(behind)).code is Code.TOO_SLOW
    await behind.close()
    assert 1 <= len(resumptions(site)) <= 5


async def test_a_modern_server_has_no_streams_to_go_on_with(behind: Behind, site: Site) -> None:
    site.modern = True
    await behind.approve()
    Left(site, b"id: 7\r\nretry: 100\r\ndata: \r\n\r\n")
    assert (await refusal(behind, era=Era.MODERN)).code is Code.SERVER_UNAVAILABLE
    assert site.heard == []


@pytest.mark.attack("N9")
async def test_what_goes_on_is_held_to_its_own_request(behind: Behind, site: Site) -> None:
    await behind.approve()
    forged = {"id": "gw-1", "result": {"forged": True}}
    Left(site, b"id: 7\r\nretry: 100\r\ndata: \r\n\r\n", [forged], [{"result": {"forged": False}}])
    site_result = await send(behind)
    assert site_result == {"forged": False}


async def test_an_answer_that_was_left_is_gone_on_with_when_and_where_the_server_says(
    behind: Behind, site: Site
) -> None:
    await behind.approve()
    told = {"method": "notifications/message", "params": {"level": "info", "data": "half"}}
    left = Left(
        site,
        b"id: 7\r\nretry: 200\r\ndata: \r\n\r\n",
        [told],
        [{"result": {"content": [], "whole": True}}],
    )
    channel = SilentChannel()
    result = await send(behind, channel=channel, headers={"Authorization": "Bearer upstream"})
    assert result["whole"] is True
    assert channel.seen == [("notifications/message", told["params"])]
    first, second = resumptions(site)
    assert (first["last-event-id"], second["last-event-id"]) == ("7", "rest-0")
    assert first["mcp-session-id"] == "s-1"
    assert first["mcp-protocol-version"] == "2025-06-18"
    assert first["authorization"] == "Bearer upstream"
    assert first["accept"] == "text/event-stream"
    assert left.resumed_at - left.left_at >= 0.2 * 2


class Standing:
    """The stream that a server keeps for what is not an answer; what the test says is said there."""

    def __init__(self, site: Site) -> None:
        self.streams: list[web.StreamResponse] = []
        self.over = asyncio.Event()
        self._site = site
        site.on_get = self._opened

    async def _opened(self, request: web.Request) -> web.StreamResponse:
        stream = await opened(request)
        self.streams.append(stream)
        await self.over.wait()
        return stream

    async def say(self, message: dict[str, Any]) -> None:
        await until(lambda: bool(self.streams))
        await self.streams[-1].write(framed({"jsonrpc": "2.0", **message}))

    async def during(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """A tool that asks on the standing stream, and answers with what it was told."""
        await self.say({"id": "mine", "method": "elicitation/create", "params": FORM})
        await until(lambda: self.answers() != [])
        result = {"content": [], "got": self.answers()[0]["result"]}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result})

    def answers(self) -> list[dict[str, Any]]:
        return [body for method, _, body in self._site.seen if not method and body.get("id") == "mine"]


async def test_a_server_may_ask_outside_of_the_answer_of_a_call(behind: Behind, site: Site) -> None:
    standing = Standing(site)
    await behind.approve()
    site.on_call = standing.during
    call = replace(behind.call("söld"), client_capabilities={"elicitation": {}})
    reply = await asyncio.wait_for(behind.upstreams.send(call), 10)
    assert reply.body["got"] == {"action": "accept", "content": {"name": "Ada"}}
    assert [asked.method for asked in behind.person.asked] == ["elicitation/create"]
    standing.over.set()


@pytest.mark.attack("N9")
async def test_an_answer_on_the_standing_stream_answers_nothing(behind: Behind, site: Site) -> None:
    standing = Standing(site)
    await behind.approve()

    async def forging(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await standing.say({"id": body["id"], "result": {"forged": True}})
        await standing.say({"method": "notifications/message", "params": {"level": "info", "data": "after it"}})
        await until(lambda: channel.seen != [])
        return site.answer(body)

    channel = SilentChannel()
    site.on_call = forging
    assert (await send(behind, channel=channel))["big"] == 2**70
    standing.over.set()


async def test_the_standing_stream_is_opened_again_after_it_ended(behind: Behind, site: Site) -> None:
    standing = Standing(site)
    await behind.approve()
    await until(lambda: len(standing.streams) == 1)
    site.heard.clear()
    await send(behind)
    await until(lambda: len(site.heard) == 1)
    await standing.say({"method": "notifications/message", "params": {}})
    standing.over.set()
    await until(lambda: len(site.heard) > 1)
    assert site.heard[-1]["mcp-session-id"] == "s-1"


async def test_the_standing_stream_ends_with_the_conversation(behind: Behind, site: Site) -> None:
    gone = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        stream = await opened(request)
        try:
            while True:
                await stream.write(b": ping\r\n\r\n")
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()
        return stream

    await behind.approve()
    site.on_get = held
    await send(behind)
    await until(lambda: site.heard != [])
    await behind.upstreams.stop()
    await asyncio.wait_for(gone.wait(), 5)


async def test_a_server_without_a_standing_stream_is_asked_for_it_once(behind: Behind, site: Site) -> None:
    await behind.approve()
    asked = len(site.heard)
    await send(behind)
    await send(behind)
    await until(lambda: len(site.heard) == asked + 1)


@pytest.mark.attack("N8")
async def test_the_stream_of_an_answer_ends_soon_after_the_answer(behind: Behind, site: Site) -> None:
    await behind.approve()
    left_open: list[asyncio.Task[Any] | None] = []

    async def never_ends(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        left_open.append(asyncio.current_task())
        stream = await opened(request)
        await stream.write(framed({"jsonrpc": "2.0", "id": body["id"], "result": {"content": []}}))
        try:
            while True:
                await stream.write(b": still here\n\n")
                await asyncio.sleep(0.05)
        except ConnectionError:
            left_open.pop()
            return stream

    site.on_call = never_ends
    for _ in range(3):
        await send(behind)
    assert len(left_open) == 3
    # Each would keep one of the connections that all remote servers share.
    await until(lambda: left_open == [])


@pytest.mark.parametrize("modern", [False, True])
async def test_a_conversation_that_is_over_leaves_no_task(behind: Behind, site: Site, modern: bool) -> None:
    site.modern = modern
    await behind.approve()
    before = asyncio.all_tasks()
    await send(behind, era=Era.MODERN if modern else Era.LEGACY)
    await behind.upstreams.stop()
    await until(lambda: not [task for task in asyncio.all_tasks() - before if "Upstream" in repr(task.get_coro())])
