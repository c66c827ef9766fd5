import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.behind import NAME, Behind, remote, until
from tests.gateway.login_site import ASM, PRM, Browser, LoginSite, login_site
from tests.gateway.remote_site import send
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, SecretName, ServerName
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import RemoteUrl
from ztmcp_desktop.gateway.login.held import Flow, How, Registration
from ztmcp_desktop.gateway.login.logins import Logins
from ztmcp_desktop.gateway.login.registration import Choice

TESTS = ClientName("tests")
NO = Denial(Code.REFUSED_BY_PERSON, "the person at this computer said no")


async def refusal(behind: Behind, **changes: Any) -> Denial:
    with pytest.raises(Denial) as caught:
        await send(behind, **changes)
    return caught.value


async def log_in(behind: Behind, browser: Browser, *clients: str, choice: Choice | None = None) -> None:
    """As the command line does."""
    plan = await behind.logins.plan(behind.server, choice or Choice())
    pending = await behind.logins.begin(plan, tuple(ClientName(name) for name in clients))
    if pending.page:
        browser(pending.page)
    await pending.finished()


def facts(behind: Behind, index: int = -1) -> dict[str, str]:
    return dict(behind.word.asked[index].facts)


@pytest.mark.attack("O5")
async def test_a_call_that_needs_a_login_asks_first_and_opens_a_browser_then(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    assert (await send(behind))["big"] == 2**70
    assert [asked.title for asked in behind.word.asked] == [f"Log in at {NAME}"]
    assert facts(behind)["For the client"] == "tests"
    assert facts(behind)["Authorization server"] == site.base
    assert browser.ends == [200]
    assert len(site.site.calls()) == 1
    (request,) = site.authorized
    assert request["code_challenge_method"] == "S256"
    assert request["resource"] == site.site.url
    assert site.token_requests[0][0]["resource"] == site.site.url
    assert site.registered[0]["application_type"] == "native"
    assert site.registered[0]["redirect_uris"] == [request["redirect_uri"]]
    assert "login" in [row.method for row in behind.ledger.rows]


@pytest.mark.attack("O5")
@pytest.mark.parametrize("answer", [NO, Denial(Code.NO_ANSWER, "too late"), Denial(Code.NOBODY_THERE, "nobody")])
async def test_without_a_yes_nothing_is_registered_and_no_browser_opens(
    behind: Behind, site: LoginSite, browser: Browser, answer: Denial
) -> None:
    behind.word.answer = answer
    denial = await refusal(behind)
    assert denial.code is answer.code
    assert (site.registered, site.authorized, browser.pages, site.site.calls()) == ([], [], [], [])
    if answer is not NO:
        return
    # A no holds, whatever the model tries next.
    assert (await refusal(behind)).code is Code.REFUSED_BY_PERSON
    assert len(behind.word.asked) == 1


@pytest.mark.attack("O5")
async def test_nobody_is_asked_where_nobody_could_see_a_page(behind: Behind, site: LoginSite) -> None:
    behind.page = None
    denial = await refusal(behind)
    assert denial.code is Code.NOBODY_THERE
    assert f"ztmcp server login {NAME} --client tests" in denial.reason
    assert behind.word.asked == []
    assert site.registered == []


@pytest.mark.promise("R10")
@pytest.mark.attack("O5")
async def test_a_second_client_needs_a_word_of_its_own(behind: Behind, site: LoginSite, browser: Browser) -> None:
    await send(behind)
    behind.word.answer, tokens = NO, len(site.seen_tokens)
    assert (await refusal(behind, client="other")).code is Code.REFUSED_BY_PERSON
    assert behind.word.asked[-1].title == f"Let other use your login at {NAME}"
    assert len(site.seen_tokens) == tokens
    await behind.clock.advance(601)
    behind.word.answer = None
    await send(behind, client="other")
    assert len(browser.pages) == 1
    asked = len(behind.word.asked)
    await send(behind, client="other")
    assert len(behind.word.asked) == asked


@pytest.mark.attack("O5")
async def test_a_client_that_was_forgotten_is_asked_about_again(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    await behind.upstreams.stop(client=TESTS)
    behind.logins.forget_client(TESTS)
    behind.word.answer = NO
    assert (await refusal(behind)).code is Code.REFUSED_BY_PERSON


@pytest.mark.promise("R10")
@pytest.mark.attack("O4")
async def test_a_token_is_sent_to_its_own_server_only_and_never_comes_back(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    async def telling(request: web.Request, body: dict[str, Any]) -> web.Response:
        said = request.headers["Authorization"]
        result = {"content": [{"type": "text", "text": said}], "resultType": "complete"}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result})

    site.site.on_call = telling
    result = await send(behind)
    (token,) = site.accepted
    assert result["content"][0]["text"] == "Bearer {{login}}"
    async with login_site() as other:
        elsewhere = remote(other.site.url)
        elsewhere.vault, elsewhere.state, elsewhere.page = behind.vault, behind.state, browser
        elsewhere.server = elsewhere.book.server = replace(elsewhere.server, name=ServerName("other"))
        elsewhere.logins = elsewhere.upstreams._logins = Logins(replace(behind.logins._parts, http=elsewhere.http))
        await log_in(elsewhere, browser, "tests")
        assert token not in other.seen_tokens
        assert all(token not in str(request) for request in other.token_requests)
        # The same name at another address: the login is not for that one.
        moved = replace(behind.server, endpoint=RemoteUrl(url=other.site.url))
        assert behind.logins.current(moved, TESTS) == {}
        assert behind.logins.shown(moved) is None
        await elsewhere.close()
    assert set(site.seen_tokens) == {token}


@pytest.mark.attack("O4")
async def test_a_login_that_was_put_in_the_place_of_another_is_refused(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await log_in(behind, browser, "tests")
    (name,) = [name for name in behind.vault.values if name.startswith("login/")]
    behind.vault.values[name] = behind.vault.values[name].replace(site.site.url, "https://evil.example/mcp")
    behind.upstreams._logins = behind.logins = Logins(behind.logins._parts)
    site.seen_tokens.clear()
    assert (await refusal(behind)).code is Code.GATEWAY_FAULT
    assert site.seen_tokens == []


async def test_a_token_is_renewed_before_it_is_old_and_the_renewed_one_survives_a_restart(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    await behind.clock.advance(545)
    await send(behind)
    assert [form["grant_type"] for form, _ in site.token_requests] == ["authorization_code", "refresh_token"]
    assert site.token_requests[1][0]["refresh_token"] == "r1"
    assert site.token_requests[1][0]["resource"] == site.site.url
    await behind.upstreams.stop()
    behind.upstreams._logins = behind.logins = Logins(behind.logins._parts)
    await behind.clock.advance(545)
    await send(behind)
    assert site.token_requests[2][0]["refresh_token"] == "r2"
    assert len(browser.pages) == len(behind.word.asked) == 1


async def test_a_token_that_dies_early_is_renewed_and_the_call_made_once(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    site.accepted.clear()
    await send(behind)
    assert len(site.site.calls()) == 2
    assert len(browser.pages) == 1


async def test_a_refresh_token_that_was_revoked_leads_to_a_new_login(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    site.accepted.clear()
    site.refuse_tokens = "invalid_grant"
    behind.word.answer = NO
    assert (await refusal(behind)).code is Code.REFUSED_BY_PERSON
    await behind.clock.advance(601)
    site.refuse_tokens, behind.word.answer = "", None
    await send(behind)
    assert [asked.title for asked in behind.word.asked] == [f"Log in at {NAME}"] * 3
    assert len(site.registered) == 1


async def test_a_registration_that_is_no_longer_known_is_made_anew(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    site.accepted.clear()
    site.refuse_tokens = "invalid_client"
    assert (await refusal(behind)).code is Code.SERVER_UNAVAILABLE
    site.refuse_tokens = ""
    await send(behind)
    assert len({request["client_id"] for request in site.authorized}) == len(site.registered) > 1


async def test_a_login_that_the_keychain_lost_is_made_anew(behind: Behind, site: LoginSite, browser: Browser) -> None:
    await log_in(behind, browser, "tests")
    behind.vault.values.clear()
    behind.upstreams._logins = behind.logins = Logins(behind.logins._parts)
    assert (await refusal(behind)).code is Code.SECRET_MISSING
    await log_in(behind, browser, "tests")
    await send(behind)


async def test_a_login_that_the_server_never_takes_is_asked_for_once(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    site.refuse = lambda _token, _body: (401, 'Bearer error="invalid_token"')
    denial = await refusal(behind)
    assert denial.code is Code.SERVER_UNAVAILABLE
    assert "does not accept the login" in denial.reason
    assert len(browser.pages) == 1


@pytest.mark.attack("O8")
async def test_more_rights_are_asked_for_when_they_are_needed_and_the_old_ones_kept(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    site.challenge += ', scope="files:read"'
    await send(behind)
    site.refuse = lambda _token, body: (
        (403, 'Bearer error="insufficient_scope", scope="files:write"')
        if body.get("method") == "tools/call" and len(site.authorized) == 1
        else None
    )
    await send(behind)
    assert [request["scope"] for request in site.authorized] == ["files:read", "files:read files:write"]
    assert facts(behind)["Rights asked for"] == "files:read\nfiles:write"
    assert any("files:write" in warning for warning in behind.word.asked[-1].warnings)
    assert len(site.registered) == 1


@pytest.mark.attack("O8")
async def test_rights_that_were_asked_for_already_are_not_asked_for_again(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    site.challenge += ', scope="files:admin"'
    site.refuse = lambda _token, _body: (403, 'Bearer error="insufficient_scope", scope="files:admin"')
    assert (await refusal(behind)).code is Code.SERVER_UNAVAILABLE
    assert (await refusal(behind)).code is Code.SERVER_UNAVAILABLE
    assert len(browser.pages) == len(behind.word.asked) == 1


@pytest.mark.attack("O8")
async def test_forty_rights_that_nobody_asked_for_are_not_asked_for(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    site.prm["scopes_supported"] = [f"right:{number}" for number in range(40)]
    await send(behind)
    assert "scope" not in site.authorized[0]


@pytest.mark.attack("O8")
async def test_forty_rights_that_are_asked_for_stand_in_the_question_and_are_warned_of(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    wanted = [*(f"right:{number:02}" for number in range(38)), "admin", "profile:read"]
    site.challenge += f', scope="{" ".join(wanted)}"'
    behind.word.answer = NO
    await refusal(behind)
    shown = facts(behind)["Rights asked for"].split("\n")
    assert sorted(shown) == sorted(wanted)
    assert (shown[0], shown[-1]) == ("profile:read", "admin")
    assert any("40 rights" in warning for warning in behind.word.asked[0].warnings)


async def test_another_authorization_server_than_before_is_warned_of_and_gets_nothing_of_the_old_one(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    (old,) = site.accepted
    async with login_site() as other:
        site.prm["authorization_servers"] = [other.base]
        site.accepted.clear()
        site.refuse_tokens = "invalid_grant"
        other.grant["access_token"] = "from-the-other"
        site.accepted.add("from-the-other")
        await send(behind)
        assert any(site.base in warning for warning in behind.word.asked[-1].warnings)
        assert len(other.registered) == 1
        assert old not in str(other.token_requests)
        assert "r1" not in str(other.token_requests)
        assert [name for name in behind.vault.values if name.startswith("login/")] != []
    assert len([name for name in behind.vault.values if name.startswith("login/")]) == 1


@pytest.mark.parametrize("flow", list(Flow))
async def test_a_client_that_was_registered_beforehand_shows_its_secret_to_the_token_endpoint_only(
    behind: Behind, site: LoginSite, browser: Browser, flow: Flow
) -> None:
    behind.vault.values["secret/AS"] = "s:ecret"
    site.asm |= {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    site.asm["grant_types_supported"] = [flow.value]
    choice = Choice(client_id="known", secret=SecretName("AS"), flow=flow, scopes=("one",))
    await log_in(behind, browser, "tests", choice=choice)
    await send(behind)
    form, headers = site.token_requests[0]
    assert headers["Authorization"] == "Basic a25vd246cyUzQWVjcmV0"
    assert form["grant_type"] == flow.value
    assert site.registered == []
    assert len(browser.pages) == (flow is Flow.PERSON)
    assert "ecret" not in str(behind.state.records)
    assert "ecret" not in str(behind.ledger.rows)


async def test_a_login_of_the_gateway_itself_is_renewed_without_the_person(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    behind.vault.values["secret/AS"] = "secret"
    site.asm |= {"grant_types_supported": ["client_credentials"], "token_endpoint_auth_methods_supported": None}
    site.grant["refresh_token"] = None
    choice = Choice(client_id="known", secret=SecretName("AS"), flow=Flow.CLIENT)
    await log_in(behind, browser, "tests", choice=choice)
    await behind.clock.advance(3600)
    await send(behind)
    assert [form["grant_type"] for form, _ in site.token_requests] == ["client_credentials"] * 2


async def test_where_nobody_registers_the_person_is_told_how(behind: Behind, site: LoginSite) -> None:
    site.asm["registration_endpoint"] = None
    denial = await refusal(behind)
    assert "--client-id" in denial.reason
    assert behind.word.asked == []


@pytest.mark.parametrize("takes", [True, False])
async def test_a_public_document_is_used_where_there_is_one_and_it_is_taken(
    site: LoginSite, browser: Browser, takes: bool
) -> None:
    document = "https://ztmcp.example/client.json"
    gateway = replace(remote(site.site.url), document=document, page=browser)
    site.asm["client_id_metadata_document_supported"] = takes
    await log_in(gateway, browser, "tests")
    assert (site.authorized[0]["client_id"] == document) is takes
    assert len(site.registered) == (not takes)
    await gateway.close()


async def test_static_credentials_keep_a_login_away(behind: Behind, site: LoginSite) -> None:
    endpoint = RemoteUrl(url=site.site.url, secret_headers=(("authorization", SecretName("TOKEN")),))
    behind.book.server = behind.server = replace(behind.server, endpoint=endpoint)
    behind.catalogue.approve_command(behind.server, None)
    site.open = True
    behind.catalogue.approve_offer(NAME, await behind.upstreams.probe(behind.server, None))
    site.open = False
    denial = await refusal(behind, headers={"Authorization": "Bearer static"})
    assert "credentials" in denial.reason
    assert site.seen_tokens[-1] == "static"
    assert behind.word.asked == []


async def test_whoever_logs_out_has_no_token_and_no_client_left(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    await send(behind)
    assert await behind.logins.log_out(NAME)
    assert not await behind.logins.log_out(NAME)
    assert behind.logins.current(behind.server, TESTS) == {}
    assert [name for name in behind.vault.values if name.startswith("login/")] == []
    assert behind.state.records["logins"] == {}


async def test_a_lockdown_ends_a_login_that_is_on_its_way(behind: Behind, site: LoginSite, browser: Browser) -> None:
    plan = await behind.logins.plan(behind.server, Choice())
    pending = await behind.logins.begin(plan, (TESTS,))
    behind.lockdown.locked = True
    browser(pending.page)
    with pytest.raises(Denial) as caught:
        await pending.finished()
    assert caught.value.code is Code.LOCKED_DOWN
    assert behind.logins.token(behind.server) is None
    with pytest.raises(Denial):
        await behind.logins.begin(plan, (TESTS,))


async def test_a_client_that_gives_up_waiting_does_not_end_the_login(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    behind.page = browser.pages.append
    call = asyncio.create_task(send(behind))
    await until(lambda: bool(browser.pages))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    browser(browser.pages[0])
    pending = behind.logins.attempts.latest(NAME)
    assert pending is not None
    await pending.finished()
    await send(behind)
    assert len(behind.word.asked) == 1


async def test_metadata_is_looked_for_where_the_specification_says(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    site.challenge = "Bearer"
    await send(behind)
    assert [path for path in site.paths if path.startswith("/.well-known")] == [PRM, ASM]


def test_a_login_is_not_written_out() -> None:
    shown = repr(Registration(how=How.DYNAMIC, client_id="c", method="none", secret=Sealed("hidden")))
    assert "hidden" not in shown
