import asyncio
from typing import Any

import pytest

from tests.gateway.front import Front, front_door, until
from tests.gateway.oauth.kit import CALL, CHALLENGE, READ, REDIRECT, Browser, OAuthClient, query_of
from ztmcp_desktop.domain.client import Introduction, Right
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName

DOCUMENT = "https://client.example/oauth/client.json"


@pytest.fixture
async def client(front: Front) -> OAuthClient:
    front.pairing.open(60)
    made = OAuthClient(front)
    assert (await made.register()).status == 201
    return made


async def test_a_yes_gives_a_code_with_state_and_issuer(client: OAuthClient) -> None:
    found = await client.answer()

    assert set(found) == {"code", "state", "iss"}
    assert (found["state"], found["iss"]) == ("s1", client.issuer)
    login = client.front.desk.asked[0]
    assert (login.server, login.rights, login.redirect_uri) == ("files", {Right.READ}, REDIRECT)
    assert login.registration.claimed_name == "Inspector"


@pytest.mark.parametrize("code", [Code.REFUSED_BY_PERSON, Code.NOBODY_THERE, Code.NO_ANSWER, Code.LOCKED_DOWN])
async def test_a_no_reaches_the_client_as_access_denied(client: OAuthClient, code: Code) -> None:
    client.front.desk.answer = Denial(code, "no")

    found = await client.answer()

    assert found == {"error": "access_denied", "error_description": "no", "state": "s1", "iss": client.issuer}
    assert client.front.clients.all() == ()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"resource": None}, "invalid_target"),
        ({"resource": "https://evil.example/s/files/mcp"}, "invalid_target"),
        ({"resource": "http://127.0.0.1:1/s/files/mcp"}, "invalid_target"),
        ({"scope": "server:mail:read"}, "invalid_scope"),
        ({"scope": "server:files:read server:mail:call"}, "invalid_scope"),
    ],
)
@pytest.mark.attack("O4", "O6")
async def test_a_wrong_request_is_answered_without_asking(
    client: OAuthClient, changes: dict[str, str | None], error: str
) -> None:
    found = await client.answer(**changes)

    assert (found["error"], found["state"], found["iss"]) == (error, "s1", client.issuer)
    assert client.front.desk.asked == []
    assert client.front.causes == ["authorize"]


async def test_a_server_that_is_not_there_is_no_target(client: OAuthClient) -> None:
    found = await client.answer(resource=client.front.url("ghost"), scope=None)
    assert found["error"] == "invalid_target"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "ztmcp-unknown"},
        {"client_id": DOCUMENT},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:4312/callback2"},
        {"redirect_uri": "http://localhost:4312/callback"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
    ids=str,
)
async def test_without_an_address_that_is_known_nothing_is_sent_anywhere(
    client: OAuthClient, changes: dict[str, str | None]
) -> None:
    answer = await Browser(client.front).get(client.asking(**changes))

    assert answer.status == 400
    assert answer.header("location") is None
    assert b"evil" not in answer.body
    assert client.front.desk.asked == []


@pytest.mark.attack("C7")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_answer_goes_to_the_gateway_itself(client: OAuthClient, host: str) -> None:
    # Its answer would be the next request, without anybody at the browser.
    here = f"http://{host}:{client.front.port}/authorize?client_id={client.id}&response_type=code"
    client.front.pairing.open(60)
    assert (await client.register(redirect_uris=[here])).status == 201
    answer = await Browser(client.front).get(client.asking(redirect_uri=here))
    assert (answer.status, answer.header("location")) == (400, None)
    assert client.front.desk.asked == []


async def test_a_parameter_that_occurs_twice_is_refused(client: OAuthClient) -> None:
    answer = await Browser(client.front).get(client.asking() + "&redirect_uri=http://127.0.0.1:1/callback")
    assert answer.status == 400
    assert client.front.desk.asked == []


@pytest.mark.parametrize(
    ("scope", "rights"),
    [
        (None, {Right.READ}),
        ("openid offline_access", {Right.READ}),
        (READ, {Right.READ}),
        (CALL, {Right.CALL}),
        (f"{READ} {CALL}", {Right.READ, Right.CALL}),
        ("server:files:admin server:files:*", {Right.READ}),
    ],
)
async def test_no_more_is_asked_for_than_was_named(client: OAuthClient, scope: str | None, rights: set[Right]) -> None:
    found = await client.answer(scope=scope)
    tokens = (await client.exchange(found["code"])).json

    assert client.front.desk.asked[0].rights == rights
    assert tokens["scope"].split() == [text for text in (READ, CALL) if Right(text.rsplit(":", 1)[1]) in rights]


@pytest.mark.attack("N2", "O7")
async def test_the_page_only_waits_and_cannot_be_framed(client: OAuthClient) -> None:
    client.front.desk.answered.clear()
    browser = Browser(client.front)
    sent = await browser.get(client.asking())
    page = await browser.get(sent.header("location") or "")

    assert (sent.status, page.status) == (302, 200)
    policy = page.header("content-security-policy") or ""
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert page.header("x-frame-options") == "DENY"
    assert page.header("referrer-policy") == "no-referrer"
    assert page.header("cache-control") == "no-store"
    for tag in (b"<form", b"<button", b"<input", b"<a ", b"<script", b"<img"):
        assert tag not in page.body.lower()
    assert b"only waits" in page.body
    assert client.front.clients.all() == ()


async def test_the_page_goes_on_when_the_person_has_answered_and_only_once(client: OAuthClient) -> None:
    client.front.desk.answered.clear()
    browser = Browser(client.front)
    where = (await browser.get(client.asking())).header("location") or ""
    waiting = asyncio.create_task(browser.get(f"{where}&again=1"))
    await until(lambda: client.front.desk.asked)
    assert not waiting.done()

    client.front.desk.answered.set()

    answer = await waiting
    assert answer.status == 302
    assert set(query_of(answer.header("location") or "")) == {"code", "state", "iss"}
    again = await browser.get(where)
    assert (again.status, again.header("location")) == (404, None)


async def test_a_wrong_ticket_shows_nothing(client: OAuthClient) -> None:
    for path in ("/authorize/wait", "/authorize/wait?ticket=", "/authorize/wait?ticket=x"):
        answer = await Browser(client.front).get(path)
        assert answer.status in {400, 404}
        assert answer.header("location") is None


async def test_the_question_goes_when_the_browser_has_gone(client: OAuthClient) -> None:
    client.front.desk.answered.clear()
    where = (await Browser(client.front).get(client.asking())).header("location") or ""
    await until(lambda: client.front.desk.asked)

    await client.front.clock.advance(61)

    await until(lambda: client.front.desk.withdrawn)
    assert (await Browser(client.front).get(where)).status == 404


async def test_reloading_asks_once_and_a_flood_is_turned_away(client: OAuthClient) -> None:
    client.front.desk.answered.clear()
    browser = Browser(client.front)
    first = await browser.get(client.asking())
    again = await browser.get(client.asking())
    assert first.header("location") == again.header("location")

    answers = [await browser.get(client.asking(state=f"n{number}")) for number in range(5)]

    errors = [query_of(answer.header("location") or "").get("error") for answer in answers]
    assert errors == [None, *["temporarily_unavailable"] * 4]
    await until(lambda: len(client.front.desk.asked) == 2)
    client.front.desk.answered.set()


async def test_an_answer_that_nobody_fetched_yet_is_given_to_the_same_request(client: OAuthClient) -> None:
    browser = Browser(client.front)
    await browser.get(client.asking())
    await until(client.front.clients.all)

    assert "code" in await client.answer()
    assert len(client.front.desk.asked) == 1


async def test_an_answer_keeps_what_the_redirect_already_asks(front: Front) -> None:
    front.pairing.open(60)
    client = OAuthClient(front)
    await client.register(redirect_uris=["http://localhost/cb?from=ztmcp"])
    browser = Browser(front)
    sent = await browser.get(client.asking(redirect_uri="http://localhost:9/cb?from=ztmcp"))
    answer = await browser.get((sent.header("location") or "") + "&again=1")

    where = answer.header("location") or ""
    assert where.startswith("http://localhost:9/cb?from=ztmcp&code=")


class Hosted:
    """Documents, as their hosts would give them."""

    available = True

    def __init__(self, **changes: Any) -> None:
        self.fetched: list[str] = []
        self.document: JsonObject = {
            "client_id": DOCUMENT,
            "client_name": "Editor",
            "redirect_uris": ["http://127.0.0.1/callback", "https://client.example/callback"],
            "token_endpoint_auth_method": "none",
            **changes,
        }

    async def fetch(self, url: str) -> JsonObject:
        self.fetched.append(url)
        return self.document


async def test_a_client_that_a_document_describes_logs_in_without_pairing() -> None:
    hosted = Hosted()
    async with front_door(documents=hosted) as front:
        client = OAuthClient(front, DOCUMENT)
        token = await client.log_in()

        assert token["scope"] == READ
        registration = front.desk.asked[0].registration
        assert (registration.id, registration.introduction) == (DOCUMENT, Introduction.DOCUMENT)
        assert registration.claimed_name == "Editor"
        assert hosted.fetched == [DOCUMENT]
        assert (await client.refresh(token["refresh_token"])).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": DOCUMENT + "x"},
        {"client_id": None},
        {"client_secret": "s"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"redirect_uris": []},
        {"redirect_uris": "http://127.0.0.1/callback"},
        {"redirect_uris": ["http://127.0.0.1/callback", "http://evil.example/callback"]},
        {"redirect_uris": ["http://127.0.0.1/callback", "javascript:alert(1)"]},
        {"redirect_uris": ["http://127.0.0.1/callback", "https://10.0.0.1/callback"]},
    ],
    ids=str,
)
async def test_a_document_that_does_not_fit_is_no_client(changes: JsonObject) -> None:
    async with front_door(documents=Hosted(**changes)) as front:
        answer = await Browser(front).get(OAuthClient(front, DOCUMENT).asking())
        assert (answer.status, answer.header("location")) == (400, None)
        assert front.desk.asked == []


@pytest.mark.attack("O1")
@pytest.mark.parametrize(
    "url",
    [
        "https://client.example",
        "https://client.example/",
        "https://client.example/a/../b",
        "https://client.example/a?b=c",
        "https://client.example/a#b",
        "https://user@client.example/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://169.254.169.254/a",
        "http://client.example/a",
    ],
)
async def test_an_address_that_is_no_document_is_never_fetched(url: str) -> None:
    hosted = Hosted(client_id=url)
    async with front_door(documents=hosted) as front:
        assert (await Browser(front).get(OAuthClient(front, url).asking())).status == 400
        assert hosted.fetched == []


async def test_a_client_that_was_let_in_is_known_again(client: OAuthClient) -> None:
    await client.log_in()
    await client.log_in(scope=f"{READ} {CALL}")

    assert [login.known_as for login in client.front.desk.asked] == [None, ClientName("logged-in")]
