"""The response side of one request."""

import asyncio

import pytest
from starlette.types import Message

from ztmcp_desktop.gateway.exchange import MAX_OUTBOX_BYTES, Accepts, Exchange, Timing, Wire


async def never() -> Message:
    return await asyncio.Event().wait()  # type: ignore[return-value]


async def swallow(message: Message) -> None:
    return


@pytest.mark.attack("N8")
async def test_large_messages_wait_for_a_client_that_does_not_read() -> None:
    wire = Wire(receive=never, send=swallow, abort=lambda: None)
    exchange = Exchange(wire, accepts=Accepts(json=True, stream=True), timing=Timing())
    large = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * (MAX_OUTBOX_BYTES // 2)}}
    await exchange.push(large)
    await exchange.push(large)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange.push(large), 0.05)
