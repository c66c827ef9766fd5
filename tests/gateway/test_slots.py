"""One conversation for each era and set of capabilities of a client, and few of them."""

import asyncio

import pytest

from tests.gateway.behind import Behind, raw_server, until
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.gateway.slots import MAX_FACES

FORM = {"elicitation": {}}


async def opened(mode: str = "echo") -> Behind:
    behind = raw_server(mode)
    await behind.approve()
    return behind


async def test_a_session_that_can_be_asked_does_not_share_a_process_with_one_that_cannot() -> None:
    behind = await opened()
    mute = await behind.send()
    able = await behind.send(client_capabilities=FORM)
    again = await behind.send()
    assert mute["pid"] == again["pid"] != able["pid"]
    await behind.close()


async def test_the_order_of_capabilities_makes_no_other_process() -> None:
    behind = await opened()
    one = await behind.send(client_capabilities={"elicitation": {}, "sampling": {}})
    other = await behind.send(client_capabilities={"sampling": {}, "elicitation": {}})
    assert one["pid"] == other["pid"]
    await behind.close()


async def test_whether_a_call_starts_a_process_is_said_of_its_own_conversation() -> None:
    behind = await opened()
    await behind.send()
    assert behind.upstreams.running_for(behind.call())
    assert not behind.upstreams.running_for(behind.call(client_capabilities=FORM))
    await behind.close()


async def test_one_conversation_too_many_ends_the_one_that_was_used_longest_ago() -> None:
    behind = await opened()
    sets = [{"elicitation": {"n": n}} for n in range(MAX_FACES + 1)]
    for able in sets:
        await behind.send(client_capabilities=able)
    up = [behind.upstreams.running_for(behind.call(client_capabilities=able)) for able in sets]
    assert up == [False, *[True] * MAX_FACES]
    await behind.close()


async def test_a_conversation_in_use_makes_no_room() -> None:
    behind = await opened("slow")
    calls = [
        asyncio.create_task(behind.upstreams.send(behind.call(client_capabilities={"elicitation": {"n": n}})))
        for n in range(MAX_FACES)
    ]
    await until(lambda: len(behind.sandbox.children) >= MAX_FACES + 2)
    with pytest.raises(Denial) as refused:
        await behind.upstreams.send(behind.call(client_capabilities={"elicitation": {"n": -1}}))
    assert refused.value.code is Code.SERVER_UNAVAILABLE
    for call in calls:
        call.cancel()
    await behind.close()
