import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.control.conftest import Room
from tests.gateway.behind import until
from tests.gateway.login_site import Browser, LoginSite, login_site
from ztmcp_desktop.control.parts import Front
from ztmcp_desktop.domain.consent import Answer, Proposal, Scope, Shown, Verdict
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, ServerName


@dataclass
class Before:
    """A room with a remote server that wants a login, and the client `code`."""

    room: Room
    site: LoginSite
    browser: Browser

    async def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return await self.room.outside.ask(verb, arguments)

    async def terms(self, **arguments: Any) -> dict[str, Any]:
        return await self.ask("server.login-terms", name="remote", **arguments)

    async def log_in(self, **arguments: Any) -> dict[str, Any]:
        terms = await self.terms(**arguments)
        begun = await self.ask("server.login", name="remote", digest=terms["digest"])
        if begun["page"]:
            self.browser(begun["page"])
        return await self.ask("server.login-wait", name="remote")


@pytest.fixture
async def before(tmp_path: Path) -> AsyncIterator[Before]:
    async with login_site() as site:
        room = Room(tmp_path)
        await room.plane.ask("server.add", {"name": "remote", "url": site.site.url})
        room.clients.add(ClientName("code"), (ServerName("remote"),), 3600.0)
        yield Before(room, site, Browser())
        await room.logins.close()
        await room.http.close()


async def refusal(asking: Any) -> Denial:
    with pytest.raises(Denial) as caught:
        await asking
    return caught.value


async def test_a_login_at_the_command_line_is_shown_begun_and_waited_for(before: Before) -> None:
    terms = await before.terms(clients=["code"], scopes=["read"])
    assert ["Rights asked for", "read"] in terms["facts"]
    assert ["For the client", "code"] in terms["facts"]
    assert (before.site.registered, before.site.authorized) == ([], [])
    done = await before.log_in(clients=["code"], scopes=["read"])
    assert done["login"] == {"issuer": before.site.base, "clients": {"code": ["read"]}}
    shown = (await before.ask("server.list"))["servers"][0]
    assert shown["login"] == done["login"]
    assert "server login" in before.room.kinds()


@pytest.mark.attack("O5")
@pytest.mark.parametrize("digest", ["", "another"])
async def test_only_what_was_shown_can_be_begun_and_only_once(before: Before, digest: str) -> None:
    terms = await before.terms()
    assert (await refusal(before.ask("server.login", name="remote", digest=digest))).code is Code.CHANGED_SINCE_APPROVAL
    await before.ask("server.login", name="remote", digest=terms["digest"])
    again = before.ask("server.login", name="remote", digest=terms["digest"])
    assert (await refusal(again)).code is Code.CHANGED_SINCE_APPROVAL


@pytest.mark.attack("O5", "C6")
async def test_where_there_is_a_screen_the_person_there_is_asked_and_the_page_goes_nowhere_else(
    before: Before,
) -> None:
    opened: list[str] = []
    before.room.front.screen = True
    before.room.front.open_page = opened.append
    terms = await before.terms(clients=["code"])
    asking = asyncio.create_task(before.ask("server.login", name="remote", digest=terms["digest"]))
    await until(lambda: bool(before.room.desk.tickets))
    proposal = before.room.desk.tickets[0].question
    assert isinstance(proposal, Proposal)
    assert proposal.title == "Log in at remote"
    assert [list(fact) for fact in proposal.facts] == terms["facts"]
    assert (opened, before.site.registered) == ([], [])
    before.room.desk.tickets[0].play(Shown())
    before.room.desk.tickets[0].play(Answer(verdict=Verdict.ALLOW, scope=Scope.ONCE, digest=proposal.digest))
    assert await asking == {"page": "", "opened": True}
    assert len(opened) == 1


@pytest.mark.attack("P5", "C2")
@pytest.mark.parametrize("kind", ["client_secret", "client_key"])
async def test_a_secret_that_proves_the_login_is_shown_and_agreed_to(before: Before, kind: str) -> None:
    shown = await before.terms(client_id="mine", **{kind: "OPENAI"})
    assert "OPENAI" in str(shown["facts"])
    # Another secret in its place is another login, which nobody has seen.
    await before.terms(client_id="mine", **{kind: "MAIL"})
    begun = before.ask("server.login", name="remote", digest=shown["digest"])
    assert (await refusal(begun)).code is Code.CHANGED_SINCE_APPROVAL


async def test_a_login_that_failed_says_why_to_whoever_waits(before: Before) -> None:
    before.site.redirect = {"code": None, "error": "access_denied"}
    assert (await refusal(before.log_in())).code is Code.REFUSED_BY_PERSON
    assert (await refusal(before.ask("server.logout", name="remote"))).code is Code.NOT_PERMITTED


async def test_logging_out_removing_the_server_and_revoking_the_client_forget(before: Before) -> None:
    await before.log_in(clients=["code"])
    await before.ask("client.revoke", name="code")
    assert before.room.state.records["logins"]["remote"]["clients"] == {}
    await before.ask("server.logout", name="remote")
    await before.log_in()
    await before.ask("server.remove", name="remote")
    assert before.room.state.records["logins"] == {}
    assert [name for name in before.room.vault.values if name.startswith("login/")] == []


@pytest.mark.attack("O5", "N3")
async def test_a_revoked_client_leaves_nothing_to_its_name_even_where_its_servers_do_not_end(
    before: Before, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(server: ServerName | None = None, client: ClientName | None = None) -> None:
        raise Denial(Code.TOO_SLOW, "a server does not end")

    await before.log_in(clients=["code"])
    monkeypatch.setattr(before.room.upstreams, "stop", stuck)
    assert (await refusal(before.ask("client.revoke", name="code"))).code is Code.TOO_SLOW
    assert before.room.clients.all() == ()
    assert before.room.state.records["logins"]["remote"]["clients"] == {}
    assert (await refusal(before.ask("server.remove", name="remote"))).code is Code.TOO_SLOW
    assert before.room.state.records["logins"] == {}


@pytest.mark.parametrize(
    "arguments",
    [
        {"client_secret": "S"},
        {"client_id": "a", "client_secret": "S", "client_key": "K"},
        {"client_id": "a", "client_secret": "no name"},
        {"client_id": "a\n"},
        {"client_credentials": True},
        {"client_id": "a", "client_credentials": True},
        {"client_credentials": "yes"},
        {"scopes": ["a b"]},
        {"scopes": ["a", "a"]},
        {"other": 1},
    ],
)
async def test_choices_that_do_not_fit_are_refused_before_anybody_is_asked(
    before: Before, arguments: dict[str, Any]
) -> None:
    assert (await refusal(before.terms(**arguments))).code is Code.SCHEMA_MISMATCH
    assert before.site.paths == []


async def test_an_unknown_client_and_a_local_server_have_no_login(before: Before) -> None:
    assert (await refusal(before.terms(clients=["nobody"]))).code is Code.NOT_PERMITTED
    await before.room.add_server("files")
    assert (await refusal(before.ask("server.login-terms", name="files"))).code is Code.NOT_PERMITTED


def test_the_front_shows_no_page_unless_it_is_given_a_way(tmp_path: Path) -> None:
    assert Front().open_page is None
    assert Room(tmp_path).front.open_page is None
