"""What servers of both eras say outside of calls, at real processes: who hears it, and what the server is asked."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.behind import Behind, SilentChannel, command, until
from tests.gateway.ear import Ear
from ztmcp_desktop.domain.call import Outbound, Reply
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.proof import Restored
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.subscription import SUBSCRIBE, SUBSCRIPTION_ID, UNSUBSCRIBE, UPDATED
from ztmcp_desktop.gateway.announcing import MAX_A_SECOND
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.slots import MAX_FACES

TELLING = str(Path(__file__).parents[1] / "servers" / "telling.py")
ERAS = ["legacy", "modern"]
TOOLS = "notifications/tools/list_changed"
URI, OTHER = "file:///a", "file:///b"


class Room:
    def __init__(self, era: str, trace: Path) -> None:
        self.era, self.trace = era, trace
        self.behind = command(sys.executable, TELLING, era, str(trace))

    @property
    def asked(self) -> list[str]:
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    @property
    def subscribed(self) -> list[str]:
        """The resources that the server was asked for by its last stream, or one by one."""
        return [line for line in self.asked if URI in line or OTHER in line]

    def join(self, *ears: Ear) -> None:
        for ear in ears:
            self.behind.listeners.join(ear)

    async def ask(self, ear: Ear, uri: str = URI, method: str = SUBSCRIBE, **changes: Any) -> JsonObject:
        kinds = (("EMAIL", 1),) if changes.pop("stand_in", None) else ()
        call = self.behind.call(
            client=ear.client, method=method, params={"uri": uri}, subscriber=ear, era=ear.era, **changes
        )
        reply = await self.behind.upstreams.send(call.proved(Restored(kinds=kinds)))
        assert not reply.is_error, reply.body
        return reply.body

    async def say(self, *messages: JsonObject, client: str = "tests", **arguments: Any) -> None:
        await self.behind.send(
            client=client,
            era=Era.LEGACY if self.era == "legacy" else Era.MODERN,
            params={"name": "echo", "arguments": {"then": list(messages), **arguments}},
        )

    def updated(self, uri: str = URI, number: str = "$id", **more: Any) -> JsonObject:
        return self.change(UPDATED, number, uri=uri, **more)

    def change(self, method: str, number: str = "$id", **params: Any) -> JsonObject:
        meta = {"_meta": {SUBSCRIPTION_ID: number}} if self.era != "legacy" else {}
        return {"method": method, "params": {**params, **meta}}


@pytest.fixture(params=ERAS)
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(request.param, tmp_path / "trace")
    await made.behind.approve()
    yield made
    await made.behind.close()


def own(room: Room, client: str = "tests") -> Ear:
    """A listener of the era that the server is of."""
    return Ear(client, era=Era.LEGACY if room.era == "legacy" else Era.MODERN)


def noises(behind: Behind) -> list[JsonObject]:
    return [row.body for row in behind.ledger.rows if row.body.get("event") == "dropped"]


async def test_nobody_hears_of_a_resource_that_it_did_not_subscribe_to(room: Room) -> None:
    mine, idle, theirs = own(room), own(room), own(room, "other")
    room.join(mine, idle, theirs)
    await room.ask(mine)
    await room.ask(theirs, OTHER)
    await room.say(room.updated(OTHER), room.updated(URI))
    await until(lambda: mine.heard)
    assert [params["uri"] for _, params in mine.heard] == [URI]
    assert idle.heard == theirs.heard == []


async def test_a_subscription_under_a_foreign_id_is_nobodys(tmp_path: Path) -> None:
    room = Room("modern", tmp_path / "trace")
    await room.behind.approve()
    ear = own(room)
    room.join(ear)
    await room.ask(ear)
    foreign = [room.updated(number=number) for number in ("gw-1", "none", "", "gw-999")]
    bare = {"method": UPDATED, "params": {"uri": URI}}
    await room.say(*foreign, bare, {"method": "notifications/message", "params": {"level": "error", "data": "x"}})
    await room.say(room.change(TOOLS))
    await until(lambda: ear.heard)
    assert ear.methods == ["tools/list_changed"]
    assert {"event": "dropped", "what": "nobody-listens"} in noises(room.behind)
    await room.behind.close()


async def test_what_the_gate_keeps_back_is_not_heard(room: Room) -> None:
    ear = own(room)
    room.join(ear)
    await room.ask(ear)
    room.behind.person.deaf = True
    await room.say(room.updated())
    await until(lambda: room.behind.person.told)
    await asyncio.sleep(0)
    assert ear.heard == []


async def test_two_who_want_the_same_are_one_subscription_and_the_last_ends_it(room: Room) -> None:
    first, second = own(room), own(room)
    room.join(first, second)
    await room.ask(first)
    await room.ask(second)
    assert len(room.subscribed) == 1
    await room.say(room.updated())
    await until(lambda: first.heard and second.heard)
    await room.ask(first, method=UNSUBSCRIBE)
    await room.say(room.updated())
    await until(lambda: len(second.heard) == 2)
    assert len(first.heard) == 1
    assert len(room.subscribed) == 1
    await room.ask(second, method=UNSUBSCRIBE)
    if room.era == "legacy":
        assert room.asked[-1] == f"unsubscribe {URI}"
    else:
        await until(lambda: room.asked[-2:] == ["listen", "cancelled old"])


async def test_who_leaves_gives_up_what_only_he_wanted(room: Room) -> None:
    ear = own(room)
    room.join(ear)
    await room.ask(ear)
    room.behind.listeners.leave(ear)
    end = f"unsubscribe {URI}" if room.era == "legacy" else "cancelled old"
    await until(lambda: room.asked[-1] == end)


async def test_ending_what_was_never_begun_ends_nobody_elses(room: Room) -> None:
    mine, stranger = own(room), own(room)
    room.join(mine, stranger)
    await room.ask(mine)
    await room.ask(stranger, method=UNSUBSCRIBE)
    await room.say(room.updated())
    await until(lambda: mine.heard)


async def test_a_list_that_changed_is_compared_with_its_pins_before_anybody_hears_of_it(room: Room) -> None:
    ear, other = own(room), own(room, "other")
    room.join(ear, other)
    await room.say()
    await until(lambda: room.era == "legacy" or "listen" in room.asked)
    looked: list[bool] = []
    observe = room.behind.catalogue.observe

    def watching(*arguments: Any) -> Any:
        looked.append(bool(ear.heard))
        return observe(*arguments)

    room.behind.catalogue.observe = watching  # type: ignore[method-assign]
    await room.say(room.change(TOOLS))
    await until(lambda: ear.heard and other.heard)
    assert looked[0] is False


async def test_subscriptions_are_made_anew_with_the_next_process(room: Room) -> None:
    session = own(room)
    room.join(session)
    await room.ask(session)
    key = next(iter(room.behind.listeners._wishes))
    stream = Ear(era=session.era, stands_in=key)
    room.join(stream)
    await room.say(die=True)
    await until(lambda: stream.losses)
    assert session.losses == []
    await room.say()
    await until(lambda: len(room.subscribed) == 2)
    await room.say(room.updated())
    await until(lambda: session.heard)


async def test_a_stopped_server_ends_its_streams(room: Room) -> None:
    key = Key(client=ClientName("tests"), server=own(room).server, era=Era.MODERN, able="")
    stream = Ear(era=Era.MODERN, stands_in=key)
    room.join(stream)
    await room.behind.upstreams.stop(server=stream.server)
    assert [why.code for why in stream.losses] == [Code.SERVER_UNAVAILABLE]


@pytest.mark.parametrize(("server", "client"), [("legacy", Era.MODERN), ("modern", Era.LEGACY)])
async def test_a_subscription_crosses_the_eras(tmp_path: Path, server: str, client: Era) -> None:
    room = Room(server, tmp_path / "trace")
    await room.behind.approve()
    ear = Ear(era=client)
    room.join(ear)
    await room.ask(ear)
    assert room.subscribed == [f"{'subscribe' if server == 'legacy' else 'listen'} {URI}"]
    params = {"name": "echo", "arguments": {"then": [room.updated(), room.change(TOOLS)]}}
    await room.behind.send(era=client, params=params)
    await until(lambda: len(ear.heard) == 2)
    # Nothing of the server's own stream goes along.
    assert ear.heard == [(UPDATED, {"uri": URI}), (TOOLS, {})]
    assert [call.era for call in room.behind.person.told] == [client, client]
    await room.behind.close()


async def test_a_resource_that_the_server_does_not_agree_to_is_not_subscribed_to(tmp_path: Path) -> None:
    room = Room("shy", tmp_path / "trace")
    await room.behind.approve()
    ear = Ear(era=Era.MODERN)
    room.join(ear)
    call = room.behind.call(method=SUBSCRIBE, params={"uri": URI}, subscriber=ear, era=Era.MODERN)
    reply = await room.behind.upstreams.send(call.proved(Restored(kinds=())))
    assert (reply.is_error, reply.body["code"]) == (True, -32602)
    assert room.behind.listeners._wishes == {}
    await room.behind.close()


async def test_nobody_subscribes_for_who_is_not_there(room: Room) -> None:
    stranger = own(room)
    call = room.behind.call(method=SUBSCRIBE, params={"uri": URI}, subscriber=stranger, era=stranger.era)
    reply = await room.behind.upstreams.send(call.proved(Restored(kinds=())))
    assert (reply.is_error, reply.body["code"]) == (True, -32601)
    assert room.subscribed == []


async def test_an_address_with_a_stand_in_is_masked_again(room: Room) -> None:
    ear, other = own(room), own(room)
    room.join(ear, other)
    await room.ask(ear, stand_in=True)
    await room.ask(other)
    plain: list[frozenset[str]] = []

    async def tell_client(call: Any, known: frozenset[str]) -> JsonObject:
        plain.append(known)
        return dict(call.params)

    room.behind.person.tell_client = tell_client  # type: ignore[method-assign]
    await room.say(room.updated())
    await until(lambda: len(plain) == 2)
    assert plain == [frozenset(), frozenset({"uri"})]


async def test_what_is_too_large_to_be_told_is_dropped_and_recorded(room: Room) -> None:
    ear = own(room)
    room.join(ear)
    await room.ask(ear)
    await room.say(room.updated(note="x" * 70_000), room.change(TOOLS))
    await until(lambda: ear.heard)
    assert ear.methods == ["tools/list_changed"]
    assert {"event": "dropped", "what": "too-much"} in noises(room.behind)


LEGACY_ONLY = {"method": "notifications/elicitation/complete", "params": {"elicitationId": "e"}}
LINE = {"method": "notifications/message", "params": {"level": "error", "data": "x"}}


async def test_what_the_newer_era_has_no_more_never_reaches_its_clients(tmp_path: Path) -> None:
    room = Room("legacy", tmp_path / "trace")
    await room.behind.approve()
    for era, heard in ((Era.MODERN, ["notifications/message"]), (Era.LEGACY, [LEGACY_ONLY["method"], LINE["method"]])):
        channel = SilentChannel()
        params = {"name": "echo", "arguments": {"during": [LEGACY_ONLY, LINE]}}
        await room.behind.send(era=era, params=params, channel=channel)
        assert [method for method, _ in channel.seen] == heard
    assert {"event": "dropped", "what": "not-allowed-here"} in noises(room.behind)
    await room.behind.close()


async def test_a_session_hears_the_log_and_what_we_do_not_know_but_no_other_client_does(tmp_path: Path) -> None:
    room = Room("legacy", tmp_path / "trace")
    await room.behind.approve()
    mine, theirs = Ear(), Ear("other")
    room.join(mine, theirs)
    await room.say(LINE, LEGACY_ONLY, {"method": "notifications/custom", "params": {"a": 1}})
    await until(lambda: len(mine.heard) == 3)
    assert mine.methods == ["message", "elicitation/complete", "custom"]
    assert theirs.heard == []
    await room.behind.close()


async def test_a_flood_of_changes_is_told_slowly_and_each_change_once(room: Room) -> None:
    ear = own(room)
    room.join(ear)
    await room.ask(ear)
    await room.say(*[room.updated() for _ in range(500)], room.change(TOOLS))
    await until(lambda: "tools/list_changed" in ear.methods)
    assert len(ear.heard) <= 2 * MAX_A_SECOND


async def test_a_stream_that_the_server_ends_is_made_anew_and_who_stood_in_it_is_told(tmp_path: Path) -> None:
    room = Room("modern", tmp_path / "trace")
    await room.behind.approve()
    session = Ear()
    room.join(session)
    await room.ask(session)
    key = next(iter(room.behind.listeners._wishes))
    stream = Ear(era=Era.MODERN, stands_in=key)
    room.join(stream)
    await room.say({"method": "notifications/cancelled", "params": {"requestId": "$id"}})
    await until(lambda: stream.losses)
    await until(lambda: len(room.subscribed) == 2)
    await room.say(room.updated())
    await until(lambda: session.heard)
    await room.behind.close()


async def test_what_was_approved_anew_is_told_to_who_may_hear_of_it(room: Room) -> None:
    ear, deaf = own(room), own(room)
    deaf.wants = ()
    room.join(ear, deaf)
    await room.behind.upstreams.relisted(ear.server)
    assert ear.methods == ["resources/list_changed", "tools/list_changed"]
    assert deaf.heard == []


async def test_a_conversation_in_which_somebody_waits_makes_no_room_for_another(tmp_path: Path) -> None:
    room = Room("legacy", tmp_path / "trace")
    await room.behind.approve()
    ear = Ear()
    room.join(ear)
    await room.ask(ear)
    for number in range(MAX_FACES + 1):
        await room.behind.send(client_capabilities={"sampling": {"n": number}})
    await room.say(room.updated())
    await until(lambda: ear.heard)
    assert len(room.subscribed) == 1
    await room.behind.close()


@pytest.mark.attack("P5")
async def test_what_a_server_says_while_it_starts_is_kept_free_of_its_secrets_too(tmp_path: Path) -> None:
    room = Room("hasty", tmp_path / "trace")
    await room.behind.approve()
    room.join(Ear())
    params: JsonObject = {"name": "echo", "arguments": {}}
    call = room.behind.call(params=params)
    secrets = {"TOKEN": "a value of the keychain"}
    await room.behind.upstreams.send(replace(call, outbound=Sealed(Outbound(params=params, secrets=secrets))))
    await until(lambda: room.behind.person.told)
    told = room.behind.person.told[0].outbound
    assert told is not None
    assert told.open().secrets == secrets
    await room.behind.close()


@pytest.mark.attack("N6")
async def test_the_news_of_a_list_carry_nothing_from_one_client_to_another(room: Room) -> None:
    mine, theirs = own(room), own(room, "other")
    room.join(mine, theirs)
    await room.say(room.change(TOOLS, data="of one client", uri="x"))
    await until(lambda: mine.heard and theirs.heard)
    assert mine.heard == theirs.heard == [(TOOLS, {})]


async def test_who_listens_anew_while_the_servers_stream_is_down_waits_until_it_is_up(tmp_path: Path) -> None:
    room = Room("modern", tmp_path / "trace")
    await room.behind.approve()
    first, second = own(room), own(room)
    room.join(first)
    await room.ask(first)
    stream = Ear(era=Era.MODERN, stands_in=next(iter(room.behind.listeners._wishes)))
    room.join(stream)
    await room.say({"method": "notifications/cancelled", "params": {"requestId": "$id"}})
    await until(lambda: stream.losses)
    room.join(second)
    await room.ask(second)
    # What changes from here on would else be missed by somebody who was told that he would hear of it.
    assert len(room.subscribed) > 1
    await room.say(room.updated())
    await until(lambda: first.heard and second.heard)
    await room.behind.close()


async def test_who_asks_twice_at_once_hears_though_one_was_in_vain(tmp_path: Path) -> None:
    room = Room("legacy", tmp_path / "trace")
    await room.behind.approve()
    ear = own(room)
    room.join(ear)
    await room.say()
    [slot] = room.behind.upstreams._slots.matching(None, None)
    assert slot.upstream is not None
    hearing, refused = slot.upstream.hearing, asyncio.Event()
    call = room.behind.call(client=ear.client, method=SUBSCRIBE, params={"uri": URI}, subscriber=ear)

    async def fails() -> Reply:
        await refused.wait()
        return Reply(body={"code": 1, "message": "not now"}, is_error=True)

    async def works() -> Reply:
        return Reply(body={})

    both = [asyncio.create_task(hearing.run(call.proved(Restored(kinds=())), ask)) for ask in (fails, works)]
    await asyncio.sleep(0)
    refused.set()
    assert [(await one).is_error for one in both] == [True, False]
    await room.say(room.updated())
    await until(lambda: ear.heard)
    await room.behind.close()


@pytest.mark.attack("N8")
async def test_a_server_fills_the_ledger_unasked_at_a_slow_pace_only(tmp_path: Path) -> None:
    room = Room("legacy", tmp_path / "trace")
    await room.behind.approve()
    room.join(*(Ear() for _ in range(4)))
    large = {"method": "notifications/custom", "params": {"text": "x" * 40_000}}
    began = asyncio.get_running_loop().time()
    await room.say(*[large for _ in range(3)])
    await until(lambda: len(room.behind.person.told) >= 8)
    # 160 kB were put on record for the first; the second waits until that is 64 kB a second.
    assert asyncio.get_running_loop().time() - began > 2
    await room.behind.close()
