from datetime import timedelta

import pytest

from tests.control.conftest import Room
from ztmcp_desktop.domain.client import ALL_RIGHTS, Introduction, Registration, Right
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, ServerName

FILES, INSPECTOR = ServerName("files"), ClientName("inspector")
REGISTRATION = Registration(
    id="ztmcp-1",
    introduction=Introduction.REGISTERED,
    claimed_name="MCP Inspector",
    redirect_uris=("http://127.0.0.1/cb",),
    program="/usr/bin/node",
)


async def listed(room: Room) -> dict[str, dict[str, object]]:
    return {client["name"]: client for client in (await room.plane.ask("client.list", {}))["clients"]}


async def test_the_list_says_what_each_may_do_since_when_from_where_and_when_it_was_seen(room: Room) -> None:
    room.clients.let_in(INSPECTOR, REGISTRATION, FILES, frozenset({Right.READ}))
    created = room.clock.now()
    tokens = room.clients.logins.begin(INSPECTOR, FILES, frozenset({Right.READ}), created + timedelta(days=30))
    room.clock.seconds += 60
    room.clients.authenticate(tokens.access.open(), FILES)

    assert (await listed(room))["inspector"] == {
        "name": "inspector",
        "kind": "registered",
        "calls_itself": "MCP Inspector",
        "registered_by": "/usr/bin/node",
        "servers": ["files"],
        "may": {"files": ["read"]},
        "logins": [
            {
                "server": "files",
                "may": ["read"],
                "since": created.isoformat(),
                "expires": (created + timedelta(days=30)).isoformat(),
            }
        ],
        "created": created.isoformat(),
        "expires": (created + timedelta(days=30)).isoformat(),
        "last_seen_at": (created + timedelta(seconds=60)).isoformat(),
        "program": "",
        "first_seen": None,
        "last_seen": None,
        "others_seen": [],
        "live": True,
    }


async def test_a_client_without_a_live_login_is_not_live(room: Room) -> None:
    room.clients.let_in(INSPECTOR, REGISTRATION, FILES, ALL_RIGHTS)
    assert (await listed(room))["inspector"]["live"] is False


async def test_a_revoked_client_has_no_logins_left(room: Room) -> None:
    room.clients.let_in(INSPECTOR, REGISTRATION, FILES, ALL_RIGHTS)
    expires = room.clock.now() + timedelta(days=30)
    tokens = room.clients.logins.begin(INSPECTOR, FILES, ALL_RIGHTS, expires)

    await room.plane.ask("client.revoke", {"name": "inspector"})

    assert await listed(room) == {}
    assert room.clients.logins.all() == ()
    assert room.clients.logins.find(tokens.access.open()) is None
    # Let in anew under the same name, nothing of before is good.
    room.clients.let_in(INSPECTOR, REGISTRATION, FILES, ALL_RIGHTS)
    with pytest.raises(Denial):
        room.clients.authenticate(tokens.access.open(), FILES)


async def test_when_it_was_seen_survives_a_restart(room: Room) -> None:
    token = room.clients.add(ClientName("a"), (FILES,), 3600).open()
    room.clients.authenticate(token, FILES)
    await room.clients.keep_seen()

    again = type(room.clients)(room.state, room.clock, room.clients._sessions)

    assert [client.last_at for client in again.all()] == [room.clock.now()]


async def test_a_record_from_before_tokens_had_scopes_is_good_for_all(room: Room) -> None:
    token = room.clients.add(ClientName("a"), (FILES,), 3600).open()
    rows = room.state.records["clients"]["clients"]
    rows[0]["servers"] = list(rows[0].pop("rights"))
    again = type(room.clients)(room.state, room.clock, room.clients._sessions)

    assert again.authenticate(token, FILES).rights == ALL_RIGHTS


@pytest.mark.parametrize("for_s", [-1, 3601, "5", True, None])
async def test_no_longer_than_an_hour(room: Room, for_s: object) -> None:
    room.front.port = 7420
    with pytest.raises(Denial):
        await room.plane.ask("client.pair", {"for_s": for_s})
    assert await room.plane.ask("client.pairing", {}) == {"left_s": 0}


async def test_pairing_needs_a_gateway_and_is_on_record(room: Room) -> None:
    with pytest.raises(Denial):
        await room.plane.ask("client.pair", {})
    room.front.port = 7420
    assert await room.plane.ask("client.pair", {"for_s": 60}) == {"left_s": 60}
    assert await room.plane.ask("client.pair", {"for_s": 0}) == {"left_s": 0}
    assert [row.method for row in room.ledger.rows] == ["pair", "pair"]


@pytest.mark.parametrize("rights", [[], ["admin"], ["read", "*"], "read"])
async def test_a_token_is_for_rights_that_there_are(room: Room, rights: object) -> None:
    with pytest.raises(Denial) as denied:
        await room.plane.ask("client.add", {"name": "a", "servers": ["files"], "rights": rights})
    assert denied.value.code is Code.SCHEMA_MISMATCH
    assert room.clients.all() == ()
