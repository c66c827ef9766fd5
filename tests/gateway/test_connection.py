"""One conversation with one server, without a server."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes import make_call
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.connection import MAX_QUEUED_BYTES, Connection
from ztmcp_desktop.gateway.link import Inbox, Noise, Route


class Quiet:
    """A link and a host that do nothing; `sent` is set when a request has gone out."""

    def __init__(self) -> None:
        self.sent = asyncio.Event()

    async def start(self, inbox: Inbox) -> None:
        return

    def agreed(self, version: str) -> None:
        return

    async def send(self, message: JsonObject, route: Route) -> None:
        self.sent.set()

    async def overhear(self) -> None:
        return

    async def abandon(self, request_id: str, route: Route) -> None:
        return

    async def close(self) -> None:
        return

    async def asked(self, method: str, params: JsonObject, call: Call | None) -> Reply:
        return Reply(body={})

    def told(self, method: str, params: JsonObject) -> None:
        return

    def dropped(self, kind: Noise, count: int) -> None:
        return


class Stuck:
    """A client that does not read."""

    async def notify(self, method: str, params: JsonObject | None) -> None:
        await asyncio.Event().wait()

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        return {}


@pytest.mark.attack("N8")
async def test_what_waits_for_a_client_that_does_not_read_is_bounded_in_bytes() -> None:
    quiet = Quiet()
    connection = Connection(quiet, quiet)
    waiting = asyncio.create_task(connection.forward(replace(make_call(), channel=Stuck()), {}, Route(), 60))
    await quiet.sent.wait()
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
    for _ in range(7):
        connection.receive(message, MAX_QUEUED_BYTES // 4, None)
    assert not connection.open
    with pytest.raises(Denial) as refused:
        await waiting
    assert refused.value.code is Code.SERVER_UNAVAILABLE
