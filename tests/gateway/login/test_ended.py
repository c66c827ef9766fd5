"""Logins that end while something of them is under way."""

import asyncio

import pytest
from aiohttp import web

from tests.gateway.behind import Behind, until
from tests.gateway.login_site import Browser, LoginSite
from tests.gateway.remote_site import send
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, SecretName
from ztmcp_desktop.gateway.login.held import Flow
from ztmcp_desktop.gateway.login.registration import Choice

TESTS = ClientName("tests")


@pytest.mark.attack("O4", "O5")
@pytest.mark.parametrize("refused", ["", "invalid_grant"])
async def test_a_renewal_that_comes_after_the_logout_brings_no_login_back(
    behind: Behind, site: LoginSite, browser: Browser, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    await send(behind)
    honest, goes_on = site.token, asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await goes_on.wait()
        return await honest(request)

    monkeypatch.setattr(site, "token", slow)
    await behind.clock.advance(590)
    renewing = asyncio.create_task(behind.logins.ready(behind.server, TESTS))
    await until(lambda: site.paths[-1] == "/token")
    site.refuse_tokens = refused
    assert await behind.logins.log_out(behind.server.name)
    goes_on.set()
    await asyncio.gather(renewing, return_exceptions=True)
    assert behind.logins.shown(behind.server) is None
    assert behind.logins.token(behind.server) is None
    assert [name for name in behind.vault.values if name.startswith("login/")] == []


@pytest.mark.attack("O5")
async def test_a_client_that_is_revoked_while_the_browser_is_open_leaves_nothing_to_its_name(
    behind: Behind,
) -> None:
    plan = await behind.logins.plan(behind.server, Choice())
    pending = await behind.logins.begin(plan, (TESTS,))
    behind.logins.forget_client(TESTS)
    with pytest.raises(Denial) as given_up:
        async with asyncio.timeout(5):
            await pending.finished()
    assert given_up.value.code is Code.SERVER_UNAVAILABLE
    assert behind.logins.shown(behind.server) is None


@pytest.mark.attack("O5")
@pytest.mark.parametrize("ending", ["log out", "revoke"])
async def test_a_login_without_a_browser_ends_too_while_it_is_under_way(
    behind: Behind, site: LoginSite, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    behind.vault.values["secret/S"] = "s"
    site.asm["grant_types_supported"] = ["client_credentials"]
    honest, goes_on = site.token, asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await goes_on.wait()
        return await honest(request)

    monkeypatch.setattr(site, "token", slow)
    choice = Choice(client_id="mine", secret=SecretName("S"), flow=Flow.CLIENT)
    plan = await behind.logins.plan(behind.server, choice)
    beginning = asyncio.create_task(behind.logins.begin(plan, (TESTS,)))
    await until(lambda: bool(site.paths) and site.paths[-1] == "/token")
    if ending == "log out":
        await behind.logins.log_out(behind.server.name)
    else:
        behind.logins.forget_client(TESTS)
    goes_on.set()
    (ended,) = await asyncio.gather(beginning, return_exceptions=True)
    assert isinstance(ended, Denial)
    assert behind.logins.shown(behind.server) is None
