import asyncio
from dataclasses import replace

import pytest

from tests.fakes import make_call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import UPDATED
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.listen_stream import MAX_WAITING, ListenStream
from ztmcp_desktop.gateway.listeners import Listeners

TOOLS, PROMPTS = "notifications/tools/list_changed", "notifications/prompts/list_changed"


def opened(listeners: Listeners | None = None) -> ListenStream:
    call = replace(make_call(method="subscriptions/listen", params={}), era=Era.MODERN)
    key = Key(client=call.principal.client, server=call.server, era=Era.MODERN, able="")
    return ListenStream(call, key, listeners or Listeners(), frozenset({"toolsListChanged"}))


def test_a_list_that_was_not_agreed_to_is_not_heard() -> None:
    stream = opened()
    assert not stream.hears(TOOLS, {})
    stream.agree(frozenset({"toolsListChanged"}))
    assert stream.hears(TOOLS, {})
    assert not stream.hears(PROMPTS, {})


async def test_a_client_that_does_not_read_must_begin_anew() -> None:
    stream = opened()
    for number in range(MAX_WAITING + 1):
        stream.tell(UPDATED, {"uri": f"file:///{number}"})
    with pytest.raises(Denial) as refused:
        await stream.next()
    assert refused.value.code is Code.SERVER_UNAVAILABLE


async def test_what_was_said_comes_in_order_and_once_while_it_waits() -> None:
    stream = opened()
    for uri in ("file:///a", "file:///b", "file:///a"):
        stream.tell(UPDATED, {"uri": uri})
    stream.tell(TOOLS, {})
    assert [(await stream.next())[1] for _ in "123"] == [{"uri": "file:///a"}, {"uri": "file:///b"}, {}]


async def test_the_first_reason_for_which_it_ended_is_the_one_that_is_told() -> None:
    stream = opened()
    waiting = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    stream.lost(Denial(Code.UNAUTHENTICATED, "expired"))
    stream.lost(Denial(Code.SERVER_UNAVAILABLE, "gone"))
    with pytest.raises(Denial) as refused:
        await waiting
    assert refused.value.code is Code.UNAUTHENTICATED


def test_a_closed_one_is_forgotten() -> None:
    listeners = Listeners()
    stream = opened(listeners)
    assert listeners.present(stream)
    stream.close()
    assert not listeners.present(stream)
