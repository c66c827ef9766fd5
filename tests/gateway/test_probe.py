import asyncio
from typing import Any

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era, ItemKind
from ztmcp_desktop.gateway.inventory import MAX_PAGES
from ztmcp_desktop.gateway.link import Inbox, Route
from ztmcp_desktop.gateway.probe import probe

TOOL = {"name": "a", "inputSchema": {"type": "object"}}


class Server:
    """A server in memory that lists `pages` in each era it speaks."""

    def __init__(self, **eras: list[list[JsonObject]]) -> None:
        self.eras = {Era[name.upper()]: pages for name, pages in eras.items()}
        self.asks_first: list[JsonObject] = []
        self.answers: list[JsonObject] = []
        self.opened: list[Era] = []
        self.closed = 0

    async def open(self, era: Era) -> "Line":
        self.opened.append(era)
        return Line(self, era)


class Line:
    def __init__(self, server: Server, era: Era) -> None:
        self._server = server
        self._pages = server.eras.get(era)
        self._inbox: Any = None

    async def start(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def agreed(self, version: str) -> None:
        pass

    async def send(self, message: JsonObject, route: Route) -> None:
        if "method" not in message:
            self._server.answers.append(message)
        elif "id" in message:
            for asked in self._server.asks_first:
                self._inbox.receive(asked, 10, None)
            self._inbox.receive({"jsonrpc": "2.0", "id": message["id"], **self._answer(message)}, 10, None)

    def _answer(self, message: JsonObject) -> JsonObject:
        capabilities = {"capabilities": {"tools": {}}}
        match message["method"]:
            case _ if self._pages is None:
                return {"error": {"code": -32601, "message": "no"}}
            case "initialize":
                return {"result": {"protocolVersion": "2025-11-25", **capabilities}}
            case "server/discover":
                return {"result": {"supportedVersions": ["2026-07-28"], **capabilities}}
            case _:
                page = int(message["params"].get("cursor", 0))
                more = {"nextCursor": str(page + 1)} if page + 1 < len(self._pages) else {}
                return {"result": {"tools": self._pages[page], **more}}

    async def abandon(self, request_id: str, route: Route) -> None:
        pass

    async def close(self) -> None:
        self._server.closed += 1


async def probed(server: Server) -> Any:
    return await asyncio.wait_for(probe(server.open, Route(), 5.0), 10.0)


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ([[{"title": "no name"}]], Code.SERVER_UNAVAILABLE),
        ([[{"name": ""}]], Code.SERVER_UNAVAILABLE),
        ([["text"]], Code.SERVER_UNAVAILABLE),
        ([[TOOL], [TOOL]], Code.SERVER_UNAVAILABLE),
        ([[] for _ in range(MAX_PAGES + 1)], Code.TOO_LARGE),
        ([[{"name": str(n)} for n in range(10_001)]], Code.TOO_LARGE),
    ],
)
async def test_lists_that_are_none_or_without_end_are_refused(pages: list[Any], code: Code) -> None:
    server = Server(legacy=pages)
    with pytest.raises(Denial) as caught:
        await probed(server)
    assert caught.value.code is code
    assert server.closed == len(server.opened)


async def test_a_server_that_speaks_neither_era_is_refused() -> None:
    with pytest.raises(Denial) as caught:
        await probed(Server())
    assert caught.value.code is Code.SERVER_UNAVAILABLE


async def test_all_pages_are_joined() -> None:
    offer = await probed(Server(legacy=[[TOOL], [{"name": "b"}]]))
    assert [tool["name"] for tool in offer.items[ItemKind.TOOL]] == ["a", "b"]
    assert offer.modern is None


async def test_both_eras_are_known_of_a_server_that_says_the_same_in_both() -> None:
    offer = await probed(Server(legacy=[[TOOL]], modern=[[TOOL]]))
    assert offer.legacy
    assert offer.modern


async def test_a_modern_server_is_known_as_one() -> None:
    offer = await probed(Server(modern=[[TOOL]]))
    assert offer.legacy is None
    assert offer.find(ItemKind.TOOL, "a") == TOOL


@pytest.mark.attack("T2")
async def test_a_server_with_two_faces_keeps_one() -> None:
    offer = await probed(Server(legacy=[[TOOL]], modern=[[{**TOOL, "description": "other"}]]))
    assert offer.modern is None
    assert offer.find(ItemKind.TOOL, "a") == TOOL


def marked(name: str, *marks: Any, kind: str = "string") -> JsonObject:
    """A tool whose arguments want to be in headers."""
    properties = {f"a{n}": {"type": kind, "x-mcp-header": mark} for n, mark in enumerate(marks)}
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


@pytest.mark.allow_log("1 tools of a server are left out")
@pytest.mark.parametrize(
    "tool",
    [
        *(marked("bad", mark) for mark in ("", "My Region", "Region:A", "Région", "A\r\nHost: evil", 7)),
        *(marked("bad", "Region", kind=kind) for kind in ("number", "object", "array", "null")),
        marked("bad", "Region", "region"),
    ],
)
async def test_a_modern_tool_whose_headers_cannot_be_made_is_left_out_alone(tool: JsonObject) -> None:
    good = marked("good", "Region")
    offer = await probed(Server(modern=[[tool], [good]]))
    assert offer.items[ItemKind.TOOL] == (good,)


async def test_in_the_older_era_what_is_wanted_in_headers_does_not_matter() -> None:
    offer = await probed(Server(legacy=[[marked("good", "no header")]]))
    assert [tool["name"] for tool in offer.items[ItemKind.TOOL]] == ["good"]


async def test_what_a_server_asks_while_it_is_looked_at_is_refused() -> None:
    server = Server(legacy=[[TOOL]])
    server.asks_first = [{"jsonrpc": "2.0", "id": "x", "method": "sampling/createMessage", "params": {}}]
    await probed(server)
    assert server.answers
    assert all("error" in answer for answer in server.answers)
