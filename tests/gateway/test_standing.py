"""The two ways on which a client hears what belongs to no call: a session's stream, and the answer to `listen`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateway.front import (
    Front,
    front_door,
    modern,
    modern_headers,
    read_event,
    read_head,
    request,
    rpc,
    until,
)
from tests.gateway.test_sdk_clients import sdk_client
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import ACKNOWLEDGED, LISTEN, SUBSCRIBE, SUBSCRIPTION_ID, UPDATED
from ztmcp_desktop.gateway.exchange import Timing
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.legacy_sessions import MAX_UNHEARD, LegacySession
from ztmcp_desktop.gateway.listen_stream import ListenStream
from ztmcp_desktop.gateway.wire import dump

TOOLS = "notifications/tools/list_changed"
LOG = "notifications/message"
FILTER = {"notifications": {"toolsListChanged": True}}


def session_of(front: Front, number: str) -> LegacySession:
    return next(live for live in front.endpoint._sessions.all() if live.id == number)


@asynccontextmanager
async def posted(
    front: Front, body: bytes, headers: dict[str, str], method: str
) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request(body, headers, method=method))
    assert (await read_head(reader)).status == 200
    yield reader
    writer.close()


def standing(front: Front, number: str) -> Any:
    return posted(front, b"", front.headers(Mcp_Session_Id=number), "GET")


def listening(front: Front, number: object = 5, **meta: object) -> Any:
    params = {**FILTER, "_meta": meta} if meta else FILTER
    body = dump(modern(rpc(LISTEN, params, number)))
    return posted(front, body, front.headers(**modern_headers(LISTEN, None)), "POST")


async def silent(call: Call) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def acknowledging(call: Call) -> Reply:
    await call.channel.notify(ACKNOWLEDGED, {"notifications": {}})
    return await silent(call)


async def test_what_is_told_to_one_session_is_not_heard_in_another(front: Front) -> None:
    mine, other = await front.initialize(), await front.initialize()
    async with standing(front, mine) as heard, standing(front, other) as quiet:
        session_of(front, mine).tell(UPDATED, {"uri": "file:///a"})
        session_of(front, other).tell(TOOLS, {})
        assert (await read_event(heard))["params"] == {"uri": "file:///a"}
        assert await read_event(quiet) == {"jsonrpc": "2.0", "method": TOOLS}


async def test_what_comes_before_the_stream_waits_for_it_in_order_and_the_oldest_goes_first(front: Front) -> None:
    number = await front.initialize()
    for count in range(MAX_UNHEARD + 3):
        session_of(front, number).tell(UPDATED, {"uri": f"file:///{count}"})
    async with standing(front, number) as heard:
        uris = [(await read_event(heard))["params"]["uri"] for _ in range(3)]
    assert uris == ["file:///3", "file:///4", "file:///5"]


@pytest.mark.attack("C13")
async def test_what_waits_for_a_stream_when_all_is_stopped_is_not_heard_any_more(front: Front) -> None:
    number = await front.initialize()
    session_of(front, number).tell(UPDATED, {"uri": "file:///before"})
    front.listeners.end(None, None, Denial(Code.LOCKED_DOWN, "everything is locked"))
    session_of(front, number).tell(UPDATED, {"uri": "file:///after"})
    async with standing(front, number) as heard:
        assert (await read_event(heard))["params"]["uri"] == "file:///after"


@pytest.mark.parametrize(("level", "heard"), [(None, [True, True]), ("error", [False, True])])
async def test_a_session_hears_of_the_log_what_it_set(front: Front, level: str | None, heard: list[bool]) -> None:
    number = await front.initialize()
    if level is not None:
        await front.post(rpc("logging/setLevel", {"level": level}, 1), Mcp_Session_Id=number)
    session = session_of(front, number)
    assert [session.hears(LOG, {"level": line}) for line in ("info", "error")] == heard
    assert session.hears(TOOLS, {})


async def test_a_call_of_a_session_says_who_would_hear_of_what_it_subscribes_to(front: Front) -> None:
    number = await front.initialize()
    await front.post(rpc(SUBSCRIBE, {"uri": "file:///a"}), Mcp_Session_Id=number)
    assert front.gate.seen[-1].subscriber is session_of(front, number)


@pytest.mark.parametrize("how", ["delete", "revoke", "silence"])
async def test_a_session_that_is_over_hears_nothing_any_more(front: Front, how: str) -> None:
    number = await front.initialize()
    session = session_of(front, number)
    assert front.listeners.present(session)
    if how == "delete":
        await front.post(b"", method="DELETE", Mcp_Session_Id=number)
    elif how == "revoke":
        front.clients.revoke(ClientName("tests"))
    else:
        await front.clock.advance(1e6)
    assert not front.listeners.present(session)


async def test_a_client_that_takes_no_stream_cannot_listen(front: Front) -> None:
    headers = {**modern_headers(LISTEN, None), "Accept": "application/json"}
    answer = await front.post(modern(rpc(LISTEN, FILTER)), **headers)
    assert answer.status == 406
    assert front.gate.seen == []


@pytest.mark.parametrize("number", [5, "listen-1", 0])
async def test_a_request_to_listen_carries_its_own_id_and_no_other(front: Front, number: object) -> None:
    front.gate.act = acknowledging
    async with listening(front, number, **{SUBSCRIPTION_ID: "of another"}) as heard:
        await read_event(heard)
    assert front.gate.seen[-1].params["_meta"][SUBSCRIPTION_ID] == number
    assert front.gate.seen[-1].era is Era.MODERN


async def test_nothing_comes_before_the_acknowledgement_however_long_it_takes() -> None:
    async with front_door(Timing(quiet_s=0.02)) as front:
        agreed = asyncio.Event()

        async def act(call: Call) -> Reply:
            await agreed.wait()
            return await acknowledging(call)

        front.gate.act = act
        async with listening(front, 5, progressToken="p") as heard:
            await asyncio.wait_for(heard.readuntil(b": ping\r\n"), 5)
            agreed.set()
            assert (await read_event(heard))["method"] == ACKNOWLEDGED


async def test_a_stream_ends_with_its_client(front: Front) -> None:
    front.gate.act = acknowledging
    async with listening(front) as heard:
        await read_event(heard)
        front.clients.revoke(ClientName("tests"))
        ending = await read_event(heard)
        await asyncio.wait_for(heard.readuntil(b"0\r\n\r\n"), 5)
    assert ending["error"]["data"]["code"] == "withdrawn"
    assert len(front.gate.withdrawn) == 1


async def test_a_client_that_closes_its_stream_withdraws_it(front: Front) -> None:
    front.gate.act = acknowledging
    async with listening(front) as heard:
        await read_event(heard)
        assert front.gate.withdrawn == []
    await until(lambda: front.gate.withdrawn)


async def test_a_stream_ends_soon_after_its_token_expires(front: Front) -> None:
    async def act(call: Call) -> Reply:
        key = Key(client=call.principal.client, server=call.server, era=Era.MODERN, able="")
        stream = ListenStream(call, key, front.listeners, frozenset())
        await call.channel.notify(ACKNOWLEDGED, {})
        await stream.next()
        raise AssertionError

    front.gate.act = act
    async with listening(front) as heard:
        await read_event(heard)
        front.clients._sessions._idle_s = 1e9
        await front.clock.advance(3601)
        assert (await read_event(heard))["error"]["data"]["code"] == "unauthenticated"


async def test_the_official_client_reads_a_stream_and_its_end(front: Front) -> None:
    over = asyncio.Event()

    async def act(call: Call) -> Reply:
        meta = {"_meta": {SUBSCRIPTION_ID: call.params["_meta"][SUBSCRIPTION_ID]}}
        await call.channel.notify(ACKNOWLEDGED, {"notifications": {"toolsListChanged": True}, **meta})
        await call.channel.notify(TOOLS, meta)
        await over.wait()
        raise Denial(Code.SERVER_UNAVAILABLE, "the server ended")

    front.gate.act = act
    async with sdk_client(front, "2026-07-28") as client, client.listen(tools_list_changed=True) as stream:
        assert type(await anext(stream)).__name__ == "ToolsListChanged"
        over.set()
        with pytest.raises(Exception, match="ended without") as lost:
            await anext(stream)
        assert type(lost.value).__name__ == "SubscriptionLost"
