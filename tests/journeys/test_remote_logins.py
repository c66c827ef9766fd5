"""Logins at a protected server of the official SDK, at authorization servers that are not ours."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conformance.browser import visit, watching
from tests.journeys.authorization import oidc_provider, oidc_provider_mock, protected, revoke_all
from tests.journeys.stage import ZTMCP, RawClient, Stage, denied, free_port, stage_in, text_of, until

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
LIFE_S = 4
AGREEABLE = ("bash", "-c", 'exec "$0" -m ztmcp_desktop "$@" < <(yes y)', sys.executable)
RULE = 'permit (principal, action == Action::"call_without_asking", resource in Server::"remote");'


class Site:
    """A gateway before a protected server, with a person at the terminal who says yes and has a browser."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.port = free_port()
        self.token = ""
        self.visited: list[str] = []

    def add(self) -> None:
        self.stage.cli("server", "add", "remote", "--url", f"http://127.0.0.1:{self.port}/mcp")
        said = self.stage.cli("server", "approve", "remote", "--yes").stdout
        assert "ztmcp server login remote" in said
        self.token = str(self.stage.json("client", "add", "tests", "--server", "remote")["token"])

    def log_in(self, *options: str) -> str:
        """As a person does at the command line, with a browser beside it; what it says."""
        command = [*ZTMCP, "server", "login", "remote", "--client", "tests", "--yes", *options]
        with subprocess.Popen(command, env=self.stage.environment, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            said = []
            for line in running.stdout:
                said.append(line)
                if line.startswith("http"):
                    assert visit(line.strip()) == 200
        assert running.returncode == 0, said
        return "".join(said)

    def call(self, client: RawClient) -> str:
        result = client.call("whoami")
        return denied(result) or text_of(result)

    def client(self) -> RawClient:
        return RawClient(self.stage.endpoint("remote"), self.token).open()

    def logins(self, what: str) -> int:
        return len([row for row in self.stage.rows() if row["kind"] == "server" and row["method"] == what])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with stage_in(tmp_path / "stage") as stage:
        stage.settings('headless_desk = "terminal"\n')
        rule = stage.root / "remote.cedar"
        rule.write_text(RULE, encoding="utf-8")
        stage.cli("rule", "add", str(rule))
        stage.start(*AGREEABLE, headless=True)
        found = Site(stage, tmp_path)
        with watching(stage.root / "ztmcp.log") as visited:
            found.visited = visited
            yield found
        stage.stop()
        stage.verify()


def expired(said: str) -> bool:
    found = re.search(r"until (\d+)", said)
    assert found, said
    return time.time() > int(found[1])


def test_a_login_is_renewed_in_mid_session_outlives_a_restart_and_is_asked_for_again_when_it_was_revoked(
    site: Site,
) -> None:
    with oidc_provider(site.folder, LIFE_S) as issuer, protected(site.folder, site.port, issuer.origin):
        site.add()
        said = site.log_in()
        assert issuer.origin in said
        assert "files:read" in said
        assert "Approved" in site.stage.cli("server", "approve", "remote", "--yes").stdout
        client = site.client()
        first = site.call(client)
        assert first.startswith("ada until ")

        until(lambda: expired(first))
        second = site.call(client)
        assert second.startswith("ada until ")
        assert second != first

        site.stage.stop()
        until(lambda: expired(second))
        site.stage.start(*AGREEABLE, headless=True)
        third = site.call(site.client())
        assert third.startswith("ada until ")
        assert site.visited == []
        assert site.logins("login") == 1

        revoke_all(issuer)
        until(lambda: expired(third))
        assert site.call(site.client()).startswith("ada until ")
        assert len(site.visited) == 1
        assert site.logins("login") == 2
        nothing_is_written_down(site.stage)


def test_another_issuer_than_before_is_asked_about_and_the_old_one_hears_no_more(site: Site) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(oidc_provider(site.folder, LIFE_S))
        with protected(site.folder, site.port, old.origin):
            site.add()
            site.log_in()
            site.stage.cli("server", "approve", "remote", "--yes")
            said = site.call(site.client())
        new = stack.enter_context(oidc_provider(site.folder, 60))
        with protected(site.folder, site.port, new.origin):
            # It is renewed where it was got, and refused by a server that takes another's now. The server has also
            # forgotten the conversation, so that it is the next call that passes.
            until(lambda: expired(said))
            until(lambda: site.call(site.client()).startswith("ada until "))
            assert f"Until now the authorization server was {old.origin}" in site.stage.log()
            assert len(site.visited) == 1
            heard = old.requests()
            assert site.call(site.client()).startswith("ada until ")
        assert old.requests() == heard
        assert heard.count("POST /reg") == new.requests().count("POST /reg") == 1


@pytest.mark.attack("O6")
def test_an_authorization_server_that_does_not_protect_its_codes_is_asked_for_nothing(site: Site) -> None:
    with (
        oidc_provider_mock(site.folder) as issuer,
        protected(site.folder, site.port, issuer.origin, scope="openid"),
    ):
        site.add()
        refused = site.stage.cli("server", "login", "remote", "--yes", status=1)
        assert "PKCE with S256" in refused.stderr
        assert "GET /.well-known/openid-configuration" in issuer.requests()
        assert all("/.well-known/" in request for request in issuer.requests())


@pytest.mark.attack("O4")
def test_a_token_for_another_audience_is_refused_and_the_login_not_tried_for_ever(site: Site) -> None:
    with (
        oidc_provider(site.folder, 60, audience="https://another.example/mcp") as issuer,
        protected(site.folder, site.port, issuer.origin),
    ):
        site.add()
        site.log_in()
        said = site.stage.cli("server", "approve", "remote", "--yes").stdout
        assert "Approved remote" not in said
        assert issuer.requests().count("POST /reg") == 1


def nothing_is_written_down(stage: Stage) -> None:
    """Tokens of this kind begin so; none is in a file of ours, a row or a log."""
    for file in [*stage.home.rglob("*"), stage.root / "ztmcp.log"]:
        if file.is_file():
            assert b"eyJhbGciOi" not in file.read_bytes(), file
