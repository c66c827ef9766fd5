"""What a server says outside of calls reaches who listens: real gateway, real server, official clients, both eras."""

import asyncio
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost

from tests.conformance import suite
from tests.conformance.era_wall import EraWall
from tests.journeys.stage import MODULES, REPO, Stage, free_port, node, stage_in, until

NAME = "changing"
SERVER = str(REPO / "tests" / "servers" / "changing.py")
WATCHED, SECRET = "note://watched", "note://secret"
EVERYTHING = MODULES / "server-everything" / "dist" / "index.js"
DYNAMIC = "demo://resource/dynamic/text/1"
WAIT_S = 15.0
LEGACY, MODERN = "2025-11-25", "2026-07-28"
RULE = """permit (
  principal == Client::"tests",
  action in [Action::"call_without_asking", Action::"read_without_asking"],
  resource in Server::"changing"
);
forbid (principal, action, resource == Resource::"changing/note://secret");
"""


class Ears:
    """A client in one era, and what it hears as short words."""

    def __init__(self, client: Client, mode: str) -> None:
        self.client, self.mode = client, mode
        self.heard: list[str] = []
        self.honoured: list[str] = []

    async def message(self, message: Any) -> None:
        # In the newer era it is handed what a stream gave already.
        if self.mode == "legacy":
            self.heard.append(word(message))

    async def listen(self, opened: AsyncExitStack, *uris: str) -> None:
        if self.mode == "legacy":
            for uri in uris:
                with suppress(MCPError):
                    await self.client.subscribe_resource(uri)
                    self.honoured.append(uri)
            return
        stream = await opened.enter_async_context(
            self.client.listen(tools_list_changed=True, resource_subscriptions=list(uris))
        )
        self.honoured = list(stream.honored.resource_subscriptions or ())
        task = asyncio.create_task(self._take(stream))
        opened.callback(task.cancel)

    async def _take(self, stream: Any) -> None:
        try:
            async for event in stream:
                self.heard.append(getattr(event, "uri", "tools"))
        except SubscriptionLost:
            self.heard.append("lost")


def word(message: Any) -> str:
    method = getattr(message, "method", "")
    if method == "notifications/resources/updated":
        return str(message.params.uri)
    if method == "notifications/message":
        return f"log {message.params.data}"
    return "tools" if method == "notifications/tools/list_changed" else method


@asynccontextmanager
async def ears(stage: Stage, token: str, mode: str, server: str = NAME) -> AsyncIterator[Ears]:
    bearer = {"Authorization": f"Bearer {token}"}
    made: list[Ears] = []

    async def message(said: Any) -> None:
        await made[0].message(said)

    async with (
        httpx2.AsyncClient(headers=bearer, timeout=30, trust_env=False) as http,
        Client(
            streamable_http_client(stage.endpoint(server), http_client=http), mode=mode, message_handler=message
        ) as client,
    ):
        made.append(Ears(client, mode))
        yield made[0]


class World:
    def __init__(self, stage: Stage, port: int, token: str, other: str) -> None:
        self.stage, self.port, self.token, self.other = stage, port, token, other

    async def poke(self, what: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/poke/{what}", method="POST")
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=5).read())


@asynccontextmanager
async def world(root: Path, era: str) -> AsyncIterator[World]:
    """The server, letting only `era` through, behind the gateway."""
    port, walled = free_port(), free_port()
    quiet = asyncio.subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(sys.executable, SERVER, str(port), stdout=quiet, stderr=quiet)
    wall = EraWall(walled, port, era)
    try:
        with stage_in(root) as stage:
            await asyncio.to_thread(until, lambda: suite.listens(port))
            await wall.serve()
            yield await asyncio.to_thread(set_up, stage, port, walled)
    finally:
        await wall.close()
        server.kill()
        await server.wait()


def set_up(stage: Stage, port: int, walled: int) -> World:
    stage.cli("server", "add", NAME, "--url", f"http://127.0.0.1:{walled}/mcp")
    stage.cli("server", "approve", NAME, "--yes")
    rule = stage.root / "changing.cedar"
    rule.write_text(RULE, encoding="utf-8")
    stage.cli("rule", "add", str(rule))
    token, other = stage.add_client(), stage.add_client("other")
    stage.start(headless=True)
    return World(stage, port, token, other)


async def heard(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)


@pytest.mark.screen
@pytest.mark.timeout(120)
@pytest.mark.allow_log("Session termination failed: 401")
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
@pytest.mark.parametrize("server", [LEGACY, MODERN])
@pytest.mark.parametrize("client", ["legacy", MODERN])
async def test_a_change_outside_of_calls_reaches_who_listens_and_nobody_else(
    tmp_path: Path, client: str, server: str
) -> None:
    async with world(tmp_path, server) as made, AsyncExitStack() as opened:
        mine = await opened.enter_async_context(ears(made.stage, made.token, client))
        theirs = await opened.enter_async_context(ears(made.stage, made.other, client))
        await mine.client.call_tool("hello", {})
        await mine.listen(opened, WATCHED, SECRET)
        assert mine.honoured == [WATCHED]

        await made.poke("other")
        await made.poke("updated")
        await heard(lambda: WATCHED in mine.heard)
        await made.poke("tools")
        await heard(lambda: "tools" in mine.heard)
        listed = await mine.client.list_tools()
        refused = await mine.client.call_tool("hello", {})

        assert mine.heard[:2] == [WATCHED, "tools"]
        assert WATCHED not in theirs.heard
        # A changed tool is shown as it was approved, and not called.
        assert [tool.description for tool in listed.tools] == ["Says hello."]
        assert refused.is_error
        assert "changed-since-approval" in refused.content[0].text
        if (client, server) == ("legacy", LEGACY):
            await made.poke("log")
            await heard(lambda: any(word.startswith("log") for word in mine.heard))
            assert "ada@example.org" not in str(mine.heard)
        await asyncio.to_thread(made.stage.cli, "client", "revoke", "tests")
        if client == MODERN:
            await heard(lambda: mine.heard[-1] == "lost")
        before = list(mine.heard)
        await made.poke("updated")
        told = [(row["client"], row["method"]) for row in made.stage.rows() if row["kind"] == "notice"]
        assert ("tests", "notifications/resources/updated") in told
        assert ("tests", "notifications/tools/list_changed") in told
        assert mine.heard == before
        await asyncio.to_thread(made.stage.verify)


@pytest.mark.screen
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
@pytest.mark.parametrize("client", ["legacy", MODERN])
async def test_a_confined_server_that_others_wrote_tells_of_its_resource(tmp_path: Path, client: str) -> None:
    with stage_in(tmp_path) as stage:
        token = await asyncio.to_thread(set_up_everything, stage)
        async with AsyncExitStack() as opened:
            mine = await opened.enter_async_context(ears(stage, token, client, "everything"))
            await mine.listen(opened, DYNAMIC)
            assert mine.honoured == [DYNAMIC]
            await mine.client.call_tool("toggle-subscriber-updates", {})
            # The first comes during the call, all others five seconds apart.
            await heard(lambda: mine.heard.count(DYNAMIC) > 1)
            await asyncio.to_thread(stage.cli, "lock")
            if client == MODERN:
                await heard(lambda: mine.heard[-1] == "lost")
            assert stage.endings("subscriptions/listen") == [("denied", "locked-down")] * (client == MODERN)


def set_up_everything(stage: Stage) -> str:
    stage.add_server("everything", node(), str(EVERYTHING))
    rule = stage.root / "everything.cedar"
    rule.write_text(RULE.replace("changing", "everything"), encoding="utf-8")
    stage.cli("rule", "add", str(rule))
    token = stage.add_client()
    stage.start(headless=True)
    return token
