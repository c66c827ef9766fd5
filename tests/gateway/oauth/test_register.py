import asyncio
from typing import Any

import pytest

from tests.gateway.front import Front
from tests.gateway.oauth.kit import REDIRECT, OAuthClient
from ztmcp_desktop.gateway.oauth.pairing import MAX_REGISTRATIONS
from ztmcp_desktop.gateway.oauth.redirects import allowed


@pytest.mark.attack("N2", "N3")
async def test_nobody_registers_before_the_person_opens_pairing(front: Front) -> None:
    answer = await OAuthClient(front).register()

    assert answer.status == 403
    assert answer.json["error"] == "access_denied"
    assert "ztmcp client pair" in answer.json["error_description"]
    assert front.causes == ["register"]
    assert front.ledger.rows == []


async def test_pairing_ends_by_itself_by_hand_and_when_it_was_used_often(front: Front) -> None:
    client = OAuthClient(front)
    front.pairing.open(60)
    front.clock.seconds += 60
    assert (await client.register()).status == 403
    front.pairing.open(60)
    front.pairing.close()
    assert (await client.register()).status == 403
    front.pairing.open(60)
    assert [(await client.register()).status for _ in range(MAX_REGISTRATIONS)] == [201] * MAX_REGISTRATIONS
    assert (await client.register()).status == 403


async def test_many_at_once_get_no_more_than_one_opening_gives(front: Front) -> None:
    front.pairing.open(60)
    answers = await asyncio.gather(*(OAuthClient(front).register() for _ in range(MAX_REGISTRATIONS * 2)))
    assert sorted(answer.status for answer in answers) == [201] * MAX_REGISTRATIONS + [403] * MAX_REGISTRATIONS


async def test_a_registration_says_what_was_registered(front: Front) -> None:
    front.pairing.open(60)
    answer = await OAuthClient(front).register(
        redirect_uris=[REDIRECT, "https://vscode.dev/redirect", "cursor://x/y"],
        token_endpoint_auth_method="client_secret_post",
        grant_types=["authorization_code", "refresh_token", "client_credentials"],
        scope="server:files:call",
    )

    found = answer.json
    assert answer.status == 201
    assert found["redirect_uris"] == [REDIRECT]
    assert found["token_endpoint_auth_method"] == "none"
    assert found["grant_types"] == ["authorization_code", "refresh_token"]
    assert "client_secret" not in found
    assert "scope" not in found
    assert [(row.kind.value, row.method) for row in front.ledger.rows] == [("client", "register")]


async def test_what_it_calls_itself_is_one_short_line(front: Front) -> None:
    front.pairing.open(60)
    for claimed, kept in (("a\n\tb\u2028c", "a b c"), ("x" * 500, "x" * 128), ("", "(no name)"), (7, "(no name)")):
        assert (await OAuthClient(front).register(client_name=claimed)).json["client_name"] == kept


@pytest.mark.parametrize(
    "uris",
    [
        [],
        None,
        "http://127.0.0.1/x",
        [7],
        ["https://evil.example/callback"],
        ["http://evil.example/callback"],
        ["http://127.0.0.1.nip.io/callback"],
        ["http://127.1/callback"],
        ["http://2130706433/callback"],
        ["http://0.0.0.0/callback"],
        ["http://[::ffff:127.0.0.1]/callback"],
        ["http://user@127.0.0.1/callback"],
        ["http://127.0.0.1/callback#x"],
        ["http://127.0.0.1\\@evil.example/"],
        ["http://127.0.0.1/call back"],
        ["http://127.0.0.1:0/callback"],
        ["http://127.0.0.1:99999/callback"],
        ["javascript:alert(1)"],
        ["data:text/html,x"],
        ["vscode://x/y"],
        ["http://127.0.0.1/" + "a" * 3000],
        [REDIRECT] * 17,
    ],
    ids=lambda uris: str(uris)[:40],
)
async def test_no_answer_may_go_anywhere_but_to_this_machine(front: Front, uris: Any) -> None:
    front.pairing.open(60)
    answer = await OAuthClient(front).register(redirect_uris=uris)

    assert (answer.status, answer.json["error"]) == (400, "invalid_redirect_uri")
    assert front.ledger.rows == []


@pytest.mark.attack("N2")
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"redirect_uris":["http://127.0.0.1/c"]}', "text/plain", 415),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"client_name":"a","client_name":"b"}', "application/json", 400),
        (b" " * 70000, "application/json", 413),
    ],
)
async def test_a_body_that_is_no_registration_is_refused(
    front: Front, body: bytes, content_type: str, status: int
) -> None:
    front.pairing.open(60)
    assert (await OAuthClient(front).post("/register", body, content_type)).status == status
    assert front.pairing.left_s > 0


@pytest.mark.parametrize(
    ("registered", "asked", "may"),
    [
        ("http://127.0.0.1/callback", "http://127.0.0.1:5000/callback", True),
        ("http://127.0.0.1:4000/callback", "http://127.0.0.1:5000/callback", True),
        ("http://localhost:4000/callback", "http://localhost:5000/callback", True),
        ("http://[::1]:4000/callback", "http://[::1]:5000/callback", True),
        ("http://127.0.0.1:4000/callback", "http://localhost:4000/callback", False),
        ("http://127.0.0.1:4000/callback", "http://127.0.0.1:4000/callback/", False),
        ("http://127.0.0.1:4000/callback", "http://127.0.0.1:4000/other", False),
        ("http://127.0.0.1:4000/callback", "http://127.0.0.1:4000/callback?x=1", False),
        ("http://127.0.0.1:4000/callback?x=1", "http://127.0.0.1:5000/callback?x=1", True),
        ("http://127.0.0.1:4000/callback", "https://127.0.0.1:4000/callback", False),
        ("http://127.0.0.1:4000/callback", "http://127.0.0.1:4000/callback#x", False),
        ("http://127.0.0.1:4000/callback", "http://u@127.0.0.1:4000/callback", False),
        ("https://a.example/cb", "https://a.example/cb", True),
        ("https://a.example/cb", "https://a.example:8443/cb", False),
        ("https://a.example/cb", "https://a.example/cb/../x", False),
        ("https://a.example/cb", "https://A.example/cb", False),
        ("https://a.example/cb", "https://a.example.evil.example/cb", False),
    ],
)
def test_a_redirect_is_exact_but_for_the_port_on_this_machine(registered: str, asked: str, may: bool) -> None:
    assert allowed([registered], asked) is may
