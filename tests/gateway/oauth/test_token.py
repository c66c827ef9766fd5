import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.front import Front, read_head, request, rpc, tool_call, until
from tests.gateway.oauth.kit import CALL, READ, REDIRECT, OAuthClient
from tests.gateway.test_routes import reach
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.gateway.oauth.logins import MAX_LOGINS_A_CLIENT, ClientLogins

LISTING = rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t"}})


async def status_of(front: Front, token: str) -> int:
    return (await reach(front, ("POST", {}, LISTING), token)).status


@pytest.fixture
async def client(front: Front) -> OAuthClient:
    front.pairing.open(60)
    made = OAuthClient(front)
    await made.register()
    return made


async def test_a_code_gives_a_short_token_for_what_was_allowed(client: OAuthClient) -> None:
    found = await client.log_in()

    assert found["token_type"] == "Bearer"
    assert found["expires_in"] == 600
    assert found["scope"] == READ
    assert await status_of(client.front, found["access_token"]) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": "v" * 42},
        {"redirect_uri": REDIRECT + "x"},
        {"redirect_uri": "http://127.0.0.1:9999/callback"},
        {"client_id": "ztmcp-other"},
        {"resource": "{mail}"},
        {"resource": "https://evil.example"},
    ],
    ids=str,
)
@pytest.mark.attack("O4", "O6")
async def test_a_code_is_for_one_client_address_verifier_and_resource(
    client: OAuthClient, changes: dict[str, str]
) -> None:
    code = (await client.answer())["code"]
    wrong = {key: value.format(mail=client.front.url("mail")) for key, value in changes.items()}

    answer = await client.exchange(code, **wrong)

    assert answer.status == 400
    assert answer.json["error"] in {"invalid_grant", "invalid_target"}
    assert client.front.clients.logins.all() == ()


async def test_whoever_shows_a_code_wrongly_uses_it_up(client: OAuthClient) -> None:
    code = (await client.answer())["code"]
    await client.exchange(code, code_verifier="w" * 64)

    assert (await client.exchange(code)).json["error"] == "invalid_grant"


async def test_a_code_of_a_client_that_was_revoked_is_no_good_even_if_its_name_is_back(client: OAuthClient) -> None:
    code = (await client.answer())["code"]
    client.front.clients.revoke(ClientName("logged-in"))
    other = OAuthClient(client.front)
    await other.register()
    await other.log_in()

    assert (await client.exchange(code)).json["error"] == "invalid_grant"
    assert len(client.front.clients.logins.all()) == 1


async def test_a_code_lives_a_minute(client: OAuthClient) -> None:
    code = (await client.answer())["code"]
    client.front.clock.seconds += 60
    assert (await client.exchange(code)).json["error"] == "invalid_grant"


async def test_a_code_that_is_used_twice_ends_what_the_first_use_gave(client: OAuthClient) -> None:
    code = (await client.answer())["code"]
    first = (await client.exchange(code)).json
    assert await status_of(client.front, first["access_token"]) == 200

    assert (await client.exchange(code)).json["error"] == "invalid_grant"

    assert await status_of(client.front, first["access_token"]) == 401
    assert (await client.refresh(first["refresh_token"])).json["error"] == "invalid_grant"


async def test_an_access_token_lives_ten_minutes_and_a_refresh_token_gives_the_next(client: OAuthClient) -> None:
    found = await client.log_in(scope=f"{READ} {CALL}")
    client.front.clock.seconds += 599
    assert await status_of(client.front, found["access_token"]) == 200
    client.front.clock.seconds += 1
    assert await status_of(client.front, found["access_token"]) == 401

    fresh = (await client.refresh(found["refresh_token"])).json

    assert await status_of(client.front, fresh["access_token"]) == 200
    assert fresh["scope"] == f"{READ} {CALL}"
    assert fresh["refresh_token"] != found["refresh_token"]


async def test_a_refresh_token_used_twice_ends_the_whole_family(client: OAuthClient) -> None:
    first = await client.log_in()
    second = (await client.refresh(first["refresh_token"])).json

    stolen = await client.refresh(first["refresh_token"])

    assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
    assert (await client.refresh(second["refresh_token"])).json["error"] == "invalid_grant"
    for found in (first, second):
        assert await status_of(client.front, found["access_token"]) == 401
    assert [row.method for row in client.front.ledger.rows][-1] == "logout"


async def test_only_its_own_client_can_use_or_revoke_a_token(client: OAuthClient) -> None:
    found = await client.log_in()
    other = OAuthClient(client.front)
    await other.register()

    assert (await other.refresh(found["refresh_token"])).json["error"] == "invalid_grant"
    for token in (found["refresh_token"], found["access_token"]):
        assert (await other.form("/revoke", token=token, client_id=other.id)).status == 200

    assert await status_of(client.front, found["access_token"]) == 200
    assert (await client.refresh(found["refresh_token"])).status == 200


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_revoking_either_token_ends_both(client: OAuthClient, which: str) -> None:
    found = await client.log_in()

    assert (await client.form("/revoke", token=found[which], client_id=client.id)).status == 200

    assert await status_of(client.front, found["access_token"]) == 401
    assert (await client.refresh(found["refresh_token"])).json["error"] == "invalid_grant"
    assert (await client.form("/revoke", token=found[which], client_id=client.id)).status == 200


async def test_a_refresh_gives_no_more_than_the_login(client: OAuthClient) -> None:
    found = await client.log_in()

    wider = await client.refresh(found["refresh_token"], scope=f"{READ} {CALL}")
    elsewhere = await client.refresh(found["refresh_token"], resource=client.front.url("mail"))

    assert (wider.json["error"], elsewhere.json["error"]) == ("invalid_scope", "invalid_target")
    assert (await client.refresh(found["refresh_token"])).status == 200


async def test_a_client_that_refreshes_where_it_should_ask_for_more_is_sent_to_ask_once(client: OAuthClient) -> None:
    found = await client.log_in()
    opened = await reach(client.front, ("POST", {}, LISTING), found["access_token"])
    session = {"Mcp-Session-Id": opened.header("mcp-session-id") or ""}
    assert (await reach(client.front, ("POST", session, tool_call()), found["access_token"])).status == 403

    first = await client.refresh(found["refresh_token"])
    second = await client.refresh(found["refresh_token"])

    assert (first.json["error"], second.status) == ("invalid_grant", 200)
    assert (await reach(client.front, ("POST", session, tool_call()), found["access_token"])).status == 403
    client.front.clock.seconds += 11
    assert (await client.refresh(second.json["refresh_token"])).status == 200


async def test_a_login_ends_when_the_person_said(client: OAuthClient) -> None:
    found = await client.log_in()
    refresh = found["refresh_token"]
    client.front.clock.seconds += 30 * 86400 - 300

    fresh = (await client.refresh(refresh)).json

    assert fresh["expires_in"] == 300
    client.front.clock.seconds += 300
    assert await status_of(client.front, fresh["access_token"]) == 401
    assert (await client.refresh(fresh["refresh_token"])).json["error"] == "invalid_grant"


async def test_no_token_is_kept_and_all_survive_a_restart(client: OAuthClient) -> None:
    found = await client.log_in()
    state = client.front.clients._state

    kept = json.dumps(state.records)
    for token in (found["access_token"], found["refresh_token"]):
        assert token not in kept
        assert token[-43:] not in kept
    again = ClientLogins(state, client.front.clock)
    login = again.find(found["access_token"])
    assert login is not None
    assert login.client == "logged-in"
    assert again.refresh(found["refresh_token"]).login.id == login.id


async def test_a_client_holds_a_bounded_number_of_logins(client: OAuthClient) -> None:
    first = await client.log_in()
    for _ in range(MAX_LOGINS_A_CLIENT):
        await client.log_in()

    assert len(client.front.clients.logins.all()) == MAX_LOGINS_A_CLIENT
    assert await status_of(client.front, first["access_token"]) == 401


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "x"}, "unsupported_grant_type"),
        ({"grant_type": "password", "client_id": "x"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "client_id": "x"}, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": "x"}, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": "x", "refresh_token": "y"}, "invalid_grant"),
    ],
)
async def test_a_wrong_token_request_says_what_is_wrong(front: Front, parameters: dict[str, str], error: str) -> None:
    answer = await OAuthClient(front).form("/token", **parameters)

    assert (answer.status, answer.json["error"]) == (400, error)
    assert answer.header("cache-control") == "no-store"
    assert front.causes == ["token"]


async def test_json_secrets_and_doubled_parameters_are_no_token_request(front: Front) -> None:
    client = OAuthClient(front)
    form = "application/x-www-form-urlencoded"
    assert (await client.post("/token", b"{}", "application/json")).json["error"] == "invalid_request"
    assert (await client.post("/token", b"client_id=a&client_id=b", form)).json["error"] == "invalid_request"
    basic = await client.post("/token", b"client_id=a", form, Authorization="Basic YTpi")
    assert (basic.status, basic.json["error"]) == (401, "invalid_client")


@dataclass
class Streams:
    """An open GET stream and a call in flight of one login."""

    stream: asyncio.StreamReader
    call: "asyncio.Task[Any]"
    writer: asyncio.StreamWriter


async def open_streams(front: Front, token: str) -> Streams:
    held = asyncio.Event()

    async def hold(call: Call) -> Reply:
        await held.wait()
        return Reply(body={})

    front.gate.act = hold
    opened = await reach(front, ("POST", {}, LISTING), token)
    session = opened.header("mcp-session-id") or ""
    call = asyncio.create_task(reach(front, ("POST", {"Mcp-Session-Id": session}, tool_call()), token))
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    headers = {
        "Host": f"127.0.0.1:{front.port}",
        "Authorization": f"Bearer {token}",
        "Accept": "text/event-stream",
        "Mcp-Session-Id": session,
    }
    writer.write(request(b"", headers, method="GET"))
    assert (await read_head(reader)).status == 200
    await until(lambda: len(front.gate.seen) > 1)
    return Streams(reader, call, writer)


@pytest.mark.attack("N3")
@pytest.mark.parametrize("how", ["person", "client", "reuse"])
async def test_open_streams_end_within_a_second_of_a_revocation(client: OAuthClient, how: str) -> None:
    front = client.front
    found = await client.log_in(scope=f"{READ} {CALL}")
    streams = await open_streams(front, found["access_token"])
    if how == "reuse":
        await client.refresh(found["refresh_token"])

    async with asyncio.timeout(1):
        match how:
            case "person":
                front.clients.revoke(ClientName("logged-in"))
            case "client":
                await client.form("/revoke", token=found["refresh_token"], client_id=client.id)
            case _:
                await client.refresh(found["refresh_token"])
        await streams.stream.readuntil(b"0\r\n\r\n")
        await streams.call
    assert len(front.gate.withdrawn) == 1
    streams.writer.close()


async def test_a_stream_lives_on_while_its_tokens_are_renewed(client: OAuthClient) -> None:
    front = client.front
    found = await client.log_in(scope=f"{READ} {CALL}")
    streams = await open_streams(front, found["access_token"])
    for _ in range(3):
        front.clock.seconds += 550
        found = (await client.refresh(found["refresh_token"])).json

    front.endpoint._sessions.sweep()
    for session in front.endpoint._sessions.all():
        front.endpoint._end_if_expired(session)

    assert not streams.call.done()
    assert len(front.endpoint._sessions) == 1
    streams.call.cancel()
    streams.writer.close()
