"""What a hostile server, authorization server or page may try during a login, and what must not happen."""

import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.behind import Behind, remote
from tests.gateway.certificates import Certificates, certificates
from tests.gateway.login_site import ASM, Browser, LoginSite
from tests.gateway.remote_site import send
from tests.gateway.test_outbound_guard import Canary, Names, canary
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.gateway.challenge import Wish, read_wish
from ztmcp_desktop.gateway.http_client import AiohttpClient
from ztmcp_desktop.gateway.login.metadata import find_issuer, find_resource
from ztmcp_desktop.gateway.login.page import openable
from ztmcp_desktop.gateway.login.registration import Choice
from ztmcp_desktop.gateway.outbound_guard import PUBLIC, GuardedResolver, read

__all__ = ["canary", "certificates"]
ENDPOINTS = ("token_endpoint", "registration_endpoint", "authorization_endpoint")
# Each leads to the canary on this machine, or would if it were taken for what some program takes it for.
INWARD = [
    *("http://127.0.0.1:{port}/x", "https://127.0.0.1:{port}/x", "http://localhost:{port}/x", "https://[::1]:{port}/x"),
    *("http://[::ffff:7f00:1]:{port}/x", "http://0x7f.1:{port}/x", "http://2130706433:{port}/x"),
    *("https://[::ffff:127.0.0.1]:{port}/x", "http://0.0.0.0:{port}/x"),
    *("http://169.254.169.254/latest/meta-data", "https://10.0.0.1:{port}/x", "http://93.184.216.34/x"),
    *("file:///etc/passwd", "https://x@127.0.0.1:{port}/x", "https://[64:ff9b::7f00:1]:{port}/x"),
]


async def refused(behind: Behind) -> Denial:
    with pytest.raises(Denial) as caught:
        await send(behind)
    return caught.value


@pytest.fixture
async def public(certificates: Certificates) -> AsyncIterator[AiohttpClient]:
    """A client for which the certificate's name stands for a public one; each other name leads to this machine."""
    client = AiohttpClient(GuardedResolver(frozenset({certificates.name}), Names(["127.0.0.1"])), certificates.client)
    yield client
    await client.close()


@asynccontextmanager
async def speaking(certificates: Certificates, metadata: dict[str, Any]) -> AsyncIterator[str]:
    """An authorization server under the certificate's name; its address."""

    async def answer(request: web.Request) -> web.Response:
        if request.path != ASM:
            return web.Response(status=404)
        return web.json_response({**dict.fromkeys(ENDPOINTS, f"{base}/x"), **metadata, "issuer": base})

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.server).start()
    base = f"https://{certificates.name}:{runner.addresses[0][1]}"
    yield base
    await runner.cleanup()


@pytest.mark.attack("O1")
@pytest.mark.parametrize("inward", [*INWARD, "https://rebound.example:{port}/x"])
async def test_a_challenge_or_a_resource_cannot_send_the_gateway_inward(
    canary: Canary, public: AiohttpClient, certificates: Certificates, inward: str
) -> None:
    url = inward.format(port=canary.port)
    with pytest.raises(Denial):
        await find_resource(public, f"https://{certificates.name}/mcp", Wish(metadata=url))
    with pytest.raises(Denial):
        await find_issuer(public, url, PUBLIC)
    assert (canary.connections, canary.heard) == (0, b"")


@pytest.mark.promise("R10")
@pytest.mark.attack("O1")
@pytest.mark.parametrize("named", ENDPOINTS)
async def test_an_authorization_server_cannot_send_the_gateway_inward(
    canary: Canary, public: AiohttpClient, certificates: Certificates, named: str
) -> None:
    for inward in INWARD:
        metadata = {"code_challenge_methods_supported": ["S256"], named: inward.format(port=canary.port)}
        async with speaking(certificates, metadata) as base:
            with pytest.raises(Denial) as caught:
                await find_issuer(public, base, PUBLIC)
        assert caught.value.code is Code.SERVER_UNAVAILABLE
        assert "gone to" in caught.value.reason
    async with speaking(certificates, {"code_challenge_methods_supported": ["S256"]}) as base:
        assert (await find_issuer(public, base, PUBLIC)).identifier == base
    assert (canary.connections, canary.heard) == (0, b"")


@pytest.mark.attack("O2")
@pytest.mark.parametrize(
    "page",
    [
        *("{base}/$(touch /tmp/p)", "{base}/`id`", "a:$(touch /tmp/p)", "javascript:alert(1)", "file:///etc/passwd"),
        *("ms-settings:", "\\\\unc\\x", "{base}/\nX", '{base}/"&calc&"', "{base}/;id", "{base}/|id", "{base}/'x'"),
        *("{base}/<x>", "{base}/%0d%0a\r\n", "{base}/ --x", "-{base}/", "data:text/html,x", "vscode://x", "{base}/\\x"),
        *("http://user:secret@127.0.0.1/", "{base}/#x", "{base}/(x)", "{base}/*", "{base}/!x", "http://evil.example/"),
    ],
)
async def test_no_page_is_opened_that_is_no_plain_page(
    behind: Behind, site: LoginSite, browser: Browser, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_program(*_: Any, **__: Any) -> None:
        raise AssertionError("a program was started")

    for where, name in ((subprocess, "Popen"), (os, "system"), (os, "posix_spawn"), (os, "execv")):
        monkeypatch.setattr(where, name, no_program)
    site.asm["authorization_endpoint"] = page.format(base=site.base)
    assert (await refused(behind)).code is Code.SERVER_UNAVAILABLE
    assert (browser.pages, behind.word.asked, site.registered) == ([], [], [])


@pytest.mark.attack("O2")
def test_a_page_that_may_be_opened_has_nothing_in_it_but_an_address() -> None:
    assert openable("https://as.example/authorize?a=b&scope=x%20y+z")
    for page in ("https://as.example/$x", "https://as.example", "https://as.example/" + "x" * 9000, "HTTPS://a/"):
        with pytest.raises(Denial):
            openable(page)


@pytest.mark.attack("O6")
@pytest.mark.parametrize(
    "redirect",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": "{base}/"},
        {"iss": "HTTP://127.0.0.1"},
        {"state": "another"},
        {"state": None},
        {"state": ""},
        {"code": None, "error": "access_denied", "iss": "https://evil.example"},
        {"code": None, "error": "access_denied", "iss": None},
        {"code": None, "error": "access_denied"},
        {"code": ""},
    ],
)
async def test_an_answer_that_is_not_to_this_login_gets_no_token(
    behind: Behind, site: LoginSite, browser: Browser, redirect: dict[str, str | None]
) -> None:
    site.redirect = {key: value and value.format(base=site.base) for key, value in redirect.items()}
    denial = await refused(behind)
    refusal = redirect == {"code": None, "error": "access_denied"}
    assert denial.code is (Code.REFUSED_BY_PERSON if refusal else Code.SERVER_UNAVAILABLE)
    assert "evil" not in denial.reason
    assert (site.token_requests, site.site.calls()) == ([], [])
    assert behind.logins.token(behind.server) is None
    assert [row.code for row in behind.ledger.rows if row.method == "login"] == [denial.code]


@pytest.mark.attack("O6")
@pytest.mark.parametrize("iss", [None, "{base}"])
async def test_an_authorization_server_that_promises_no_name_may_give_its_own_or_none(
    behind: Behind, site: LoginSite, browser: Browser, iss: str | None
) -> None:
    site.asm["authorization_response_iss_parameter_supported"] = None
    site.redirect["iss"] = iss and iss.format(base=site.base)
    await send(behind)
    assert len(site.token_requests) == 1


@pytest.mark.attack("O6")
@pytest.mark.parametrize(
    "asm",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "{base}/"},
        {"issuer": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": None},
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"authorization_endpoint": None},
        {"grant_types_supported": ["implicit"]},
    ],
)
async def test_metadata_that_are_another_ones_or_do_not_protect_codes_end_the_login(
    behind: Behind, site: LoginSite, browser: Browser, asm: dict[str, Any]
) -> None:
    site.asm = {key: value.format(base=site.base) if isinstance(value, str) else value for key, value in asm.items()}
    assert (await refused(behind)).code is Code.SERVER_UNAVAILABLE
    assert (behind.word.asked, site.registered, site.authorized, site.token_requests) == ([], [], [], [])


@pytest.mark.attack("O4", "O6")
@pytest.mark.parametrize(
    "prm",
    [
        {"resource": "https://evil.example/mcp"},
        {"resource": "{base}/mcp/more"},
        {"resource": "{base}/m"},
        {"resource": "{base}/mcp?x=1"},
        {"resource": 7},
        {"authorization_servers": []},
        {"authorization_servers": [7]},
    ],
)
async def test_metadata_of_another_resource_end_the_login(
    behind: Behind, site: LoginSite, browser: Browser, prm: dict[str, Any]
) -> None:
    site.prm = {key: value.format(base=site.base) if isinstance(value, str) else value for key, value in prm.items()}
    assert (await refused(behind)).code is Code.SERVER_UNAVAILABLE
    assert (behind.word.asked, site.authorized, site.token_requests) == ([], [], [])


async def test_a_resource_may_be_the_whole_origin(behind: Behind, site: LoginSite, browser: Browser) -> None:
    site.prm["resource"] = site.base
    await send(behind)
    assert {site.authorized[0]["resource"], site.token_requests[0][0]["resource"]} == {site.base}


@pytest.mark.attack("O4")
@pytest.mark.parametrize(
    "grant",
    [
        {"token_type": "DPoP"},
        {"token_type": None},
        {"access_token": None},
        {"access_token": "a b"},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "x" * 9000},
        {"access_token": 7},
    ],
)
async def test_a_token_that_is_none_is_not_kept(
    behind: Behind, site: LoginSite, browser: Browser, grant: dict[str, Any]
) -> None:
    site.grant = grant
    assert (await refused(behind)).code is Code.SERVER_UNAVAILABLE
    assert behind.logins.token(behind.server) is None
    assert [name for name in behind.vault.values if name.startswith("login/")] == []


@pytest.mark.attack("O6")
async def test_each_login_has_a_state_and_a_verifier_of_its_own(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    for _ in range(2):
        plan = await behind.logins.plan(behind.server, Choice())
        pending = await behind.logins.begin(plan, ())
        browser(pending.page)
        await pending.finished()
    states = {request["state"] for request in site.authorized}
    verifiers = {form["code_verifier"] for form, _ in site.token_requests}
    assert len(states) == len(verifiers) == 2
    assert all(len(text) >= 43 for text in states | verifiers)


@pytest.mark.attack("O6", "O7")
async def test_an_answer_after_the_login_was_given_up_finds_nobody(
    behind: Behind, site: LoginSite, browser: Browser
) -> None:
    plan = await behind.logins.plan(behind.server, Choice())
    first = await behind.logins.begin(plan, (ClientName("tests"),))
    second = await behind.logins.begin(plan, (ClientName("tests"),))
    with pytest.raises(Denial):
        await first.finished()
    redirect = dict(part.split("=") for part in first.page.partition("?")[2].split("&"))["redirect_uri"]
    port = int(redirect.rpartition("%3A")[2].partition("%2F")[0])
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass
    browser(second.page)
    await second.finished()


@pytest.mark.parametrize(
    "header", ["Bearer " + "a=" * 4000, 'Bearer scope="' + "x " * 3000 + '"', "Bearer" + "," * 8000, '"' * 8000]
)
def test_a_challenge_is_read_within_bounds(header: str) -> None:
    began = time.monotonic()
    wish = read_wish(header)
    assert time.monotonic() - began < 1
    assert wish.scopes is None or len(wish.scopes) <= 64


def test_a_quoted_text_is_no_challenge() -> None:
    wish = read_wish('Basic realm="x, Bearer resource_metadata=\\"http://evil\\"", Bearer scope="a a b", error=x')
    assert (wish.scopes, wish.error, wish.metadata) == (("a", "b"), "x", None)


async def test_a_server_that_answers_others_too_large_a_document_is_refused(behind: Behind, site: LoginSite) -> None:
    site.prm["x"] = "y" * 300_000
    assert (await refused(behind)).code is Code.TOO_LARGE
    assert behind.word.asked == []


def test_the_site_of_these_tests_is_local(site: LoginSite) -> None:
    assert read(site.base).host == "127.0.0.1"
    assert replace(remote(site.site.url)).page is None
