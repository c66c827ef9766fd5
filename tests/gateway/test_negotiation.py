from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import make_call
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era, Offer
from ztmcp_desktop.gateway.negotiation import (
    CAPABILITIES_KEY,
    LEVEL_KEY,
    VERSION_KEY,
    Failure,
    NotSpoken,
    discover,
    handshake,
    incoming,
    outgoing,
    preferred,
)

BOTH = Offer(legacy={}, modern={})


class Peer:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.seen: list[str] = []

    async def ask(self, method: str, params: JsonObject | None) -> Reply:
        self.seen.append(method)
        return self.reply

    async def tell(self, method: str, params: JsonObject | None) -> None:
        self.seen.append(method)


def call(era: Era, **changes: Any) -> Call:
    meta = {VERSION_KEY: "client's", "mine": None}
    params = {"name": "x", "arguments": {"a": None}, "_meta": meta}
    return replace(make_call(params=params), era=era, **changes)


async def handshaken(peer: Peer) -> Failure | list[str]:
    try:
        await handshake(peer, {}, peer.seen.append)
    except NotSpoken as failure:
        return failure.failure
    return peer.seen


@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", None, 3, ["2025-11-25"]])
async def test_a_handshake_with_an_unknown_version_goes_no_further(version: object) -> None:
    peer = Peer(Reply(body={"protocolVersion": version}))
    assert await handshaken(peer) is Failure.NO_COMMON_VERSION
    assert peer.seen == ["initialize"]


async def test_a_handshake_tells_the_version_before_it_goes_on() -> None:
    peer = Peer(Reply(body={"protocolVersion": "2024-11-05"}))
    assert await handshaken(peer) == ["initialize", "2024-11-05", "notifications/initialized"]


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (Reply(body={"code": -32601, "message": ""}, is_error=True), Failure.NOT_SPOKEN),
        (Reply(body={"code": -32022, "data": {"supported": ["2030-01-01"]}}, is_error=True), Failure.NO_COMMON_VERSION),
        (Reply(body={"code": -32022, "data": {"supported": ["2025-11-25"]}}, is_error=True), Failure.NOT_SPOKEN),
        (Reply(body={"supportedVersions": ["2025-11-25"]}), Failure.NOT_SPOKEN),
        (Reply(body={"supportedVersions": "2026-07-28"}), Failure.NOT_SPOKEN),
    ],
)
async def test_what_is_no_modern_server(reply: Reply, failure: Failure) -> None:
    with pytest.raises(NotSpoken) as caught:
        await discover(Peer(reply), {})
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    ("caller", "offer", "era"),
    [
        (Era.LEGACY, BOTH, Era.LEGACY),
        (Era.MODERN, BOTH, Era.MODERN),
        (Era.LEGACY, Offer(modern={}), Era.MODERN),
        (Era.MODERN, Offer(legacy={}), Era.LEGACY),
    ],
)
def test_a_server_is_opened_in_the_callers_era_where_it_can_be(caller: Era, offer: Offer, era: Era) -> None:
    assert preferred(caller, offer) is era


def test_a_server_that_speaks_nothing_is_not_opened() -> None:
    with pytest.raises(Denial):
        preferred(Era.MODERN, Offer())


def test_parameters_go_unchanged_within_the_older_era() -> None:
    asked = call(Era.LEGACY)
    assert outgoing(asked, asked.params, Era.LEGACY) == asked.params


def test_the_envelope_is_taken_off_for_an_older_server() -> None:
    asked = call(Era.MODERN)
    assert outgoing(asked, asked.params, Era.LEGACY)["_meta"] == {"mine": None}


def test_the_envelope_of_a_modern_request_is_ours() -> None:
    asked = call(Era.MODERN, client_capabilities={"sampling": {}, "experimental": {"x": {}}}, log_level="info")
    sent = outgoing(asked, asked.params, Era.MODERN)
    assert sent["_meta"][VERSION_KEY] == "2026-07-28"
    assert sent["_meta"][CAPABILITIES_KEY] == {"sampling": {}}
    assert sent["_meta"][LEVEL_KEY] == "info"
    assert sent["_meta"]["mine"] is None
    assert sent["arguments"] == {"a": None}


def test_an_older_client_promises_a_modern_server_what_it_can_be_asked_in_rounds() -> None:
    asked = call(Era.LEGACY, client_capabilities={"sampling": {}, "elicitation": {}, "tasks": {}})
    promised = outgoing(asked, asked.params, Era.MODERN)["_meta"][CAPABILITIES_KEY]
    assert promised == {"roots": {}, "sampling": {}, "elicitation": {}}


@pytest.mark.parametrize(("before", "after"), [(-32002, -32602), (-32042, -32021), (-32000, -32000)])
def test_an_error_has_the_code_that_the_newer_era_knows(before: int, after: int) -> None:
    reply = Reply(body={"code": before, "message": "no"}, is_error=True)
    assert incoming(call(Era.MODERN), reply, Era.LEGACY).body["code"] == after
    assert incoming(call(Era.LEGACY), reply, Era.LEGACY) is reply


def test_a_request_for_input_is_refused_where_the_client_has_no_such_thing() -> None:
    with pytest.raises(Denial) as caught:
        incoming(call(Era.LEGACY), Reply(body={"resultType": "input_required"}), Era.MODERN)
    assert caught.value.code is Code.SERVER_UNAVAILABLE


def test_results_are_dressed_for_the_callers_era() -> None:
    older = incoming(call(Era.LEGACY), Reply(body={"resultType": "complete", "ttlMs": 1, "x": None}), Era.MODERN)
    assert older.body == {"x": None}
    newer = incoming(call(Era.MODERN, method="resources/read"), Reply(body={"contents": []}), Era.LEGACY)
    assert newer.body == {"contents": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    same_era = Reply(body={"resultType": "task", "x": 1})
    assert incoming(call(Era.MODERN), same_era, Era.MODERN) is same_era
