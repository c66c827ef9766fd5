"""Notifications of clients."""

from dataclasses import dataclass, field

import pytest

from tests.fakes import FakeLedger, make_call, make_digester
from tests.pipeline.conftest import World
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import EntryKind
from ztmcp_desktop.domain.names import ServerName, SessionId
from ztmcp_desktop.domain.proof import Authenticated
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.notices import MAX_COUNTED_SESSIONS, MAX_NOTICE_BYTES, MAX_NOTICES_PER_S, Notices
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.pipeline.surrogates import Surrogates
from ztmcp_desktop.ports import Stage
from ztmcp_desktop.scan.redact import redact


@dataclass
class Told:
    seen: list[tuple[str, JsonObject | None]] = field(default_factory=list)

    async def notify(self, principal: Principal, server: ServerName, method: str, params: JsonObject | None) -> None:
        self.seen.append((method, params))


async def refuses(call: Call) -> Call:
    raise Denial(Code.REFUSED_BY_RULE, "a rule forbids it")


def notice(params: JsonObject | None = None, method: str = "notifications/vendor") -> Call:
    return make_call(method=method, params=params or {})


async def known(call: Call) -> Call:
    return call.proved(Authenticated(client=call.principal.client, server=call.server))


def notices(world: World, *checks: Stage) -> Notices:
    return Notices(
        checks=(known, *checks),
        recorder=Recorder(redact, make_digester()),
        masker=Masker(Surrogates()),
        ledger=world.ledger,
        lockdown=world.lockdown,
        clock=world.clock,
    )


async def dropped(passing: Notices, told: Told, call: Call) -> Code:
    with pytest.raises(Denial) as refused:
        await passing.pass_on(call, told)  # type: ignore[arg-type]
    assert told.seen == []
    return refused.value.code


def causes(ledger: FakeLedger) -> list[str]:
    return [cause for cause, _ in ledger.rejected]


@pytest.mark.attack("P14")
async def test_one_from_another_program_than_before_does_not_arrive(world: World) -> None:
    async def strange(call: Call) -> Call:
        return call.proved(Authenticated(client=call.principal.client, server=call.server, unlike="/usr/bin/before"))

    assert await dropped(notices(world, strange), Told(), notice()) is Code.NOT_PERMITTED
    assert causes(world.ledger) == ["notice-not-permitted"]


@pytest.mark.attack("C13")
async def test_when_locked_no_notification_passes(world: World) -> None:
    world.lockdown.locked = True
    assert await dropped(notices(world), Told(), notice()) is Code.LOCKED_DOWN
    assert causes(world.ledger) == ["notice-locked-down"]


@pytest.mark.attack("C13")
async def test_one_that_was_on_its_way_when_all_was_locked_does_not_arrive(world: World) -> None:
    async def locks(call: Call) -> Call:
        world.lockdown.locked = True
        return call

    assert await dropped(notices(world, locks), Told(), notice()) is Code.LOCKED_DOWN


async def test_what_a_stage_refuses_is_dropped_and_counted(world: World) -> None:
    assert await dropped(notices(world, refuses), Told(), notice()) is Code.REFUSED_BY_RULE
    assert causes(world.ledger) == ["notice-refused-by-rule"]
    assert world.ledger.rows == []


@pytest.mark.attack("C12")
async def test_without_a_row_nothing_is_passed_on(world: World) -> None:
    world.ledger.broken = True
    assert await dropped(notices(world), Told(), notice()) is Code.GATEWAY_FAULT


@pytest.mark.attack("N4")
@pytest.mark.parametrize("method", ["tools/call", "resources/read", "vendor/delete", "Notifications/x"])
async def test_a_request_without_an_id_does_not_pass_as_a_notification(world: World, method: str) -> None:
    call = notice({"name": "write_file", "arguments": {"path": "/tmp/a"}}, method)
    assert await dropped(notices(world), Told(), call) is Code.NOT_PERMITTED
    assert causes(world.ledger) == ["notice-not-permitted"]


@pytest.mark.attack("N8")
async def test_a_large_notification_is_dropped_before_any_check(world: World) -> None:
    call = notice({"text": "x" * MAX_NOTICE_BYTES})
    assert await dropped(notices(world, refuses), Told(), call) is Code.TOO_LARGE


@pytest.mark.attack("N7")
async def test_a_flood_of_one_session_is_cut_and_another_session_is_not(world: World) -> None:
    passing, told = notices(world), Told()
    for _ in range(MAX_NOTICES_PER_S):
        await passing.pass_on(notice(), told)  # type: ignore[arg-type]
    told.seen.clear()
    assert await dropped(passing, told, notice()) is Code.TOO_LARGE
    call = notice()
    other = Principal(client=call.principal.client, token=call.principal.token, session=SessionId("s2"))
    await passing.pass_on(make_call(method="notifications/vendor", params={}, principal=other), told)  # type: ignore[arg-type]
    assert len(told.seen) == 1
    world.clock.seconds += 1
    await passing.pass_on(notice(), told)  # type: ignore[arg-type]
    assert len(told.seen) == 2


@pytest.mark.attack("N7")
async def test_counting_does_not_grow_with_the_number_of_sessions(world: World) -> None:
    passing, told = notices(world), Told()
    for number in range(MAX_COUNTED_SESSIONS + 10):
        call = notice()
        principal = Principal(client=call.principal.client, token=call.principal.token, session=SessionId(f"s{number}"))
        await passing.pass_on(  # type: ignore[arg-type]
            make_call(method="notifications/vendor", params={}, principal=principal),
            told,  # type: ignore[arg-type]
        )
    assert len(passing._counts) == MAX_COUNTED_SESSIONS


@pytest.mark.attack("P11")
async def test_personal_data_is_masked_for_the_server_and_redacted_for_the_ledger(world: World) -> None:
    told = Told()
    call = notice({"text": "to ada@example.org", "progressToken": "p-1"})
    await notices(world).pass_on(call, told)  # type: ignore[arg-type]
    assert told.seen == [("notifications/vendor", {"text": "to <EMAIL_1>", "progressToken": "p-1"})]
    assert [row.kind for row in world.ledger.rows] == [EntryKind.NOTICE]
    assert "ada@example.org" not in repr(world.ledger.rows)
