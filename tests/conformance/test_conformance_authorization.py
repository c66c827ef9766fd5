"""The official suite's `authorization` mode against ztmcp as an authorization server; a person says yes."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.suite import SUITE
from tests.conformance.test_conformance import AGREEABLE, LEGACY, MODERN
from tests.journeys.stage import REPO, Stage, free_port, node, stage_in

pytestmark = [pytest.mark.screen, pytest.mark.timeout(120)]
BROWSER = REPO / "tests" / "journeys" / "clients" / "browser.py"
SERVER = REPO / "tests" / "servers" / "features.py"
CHECKS = ["authorization-code-grant", "authorization-server-metadata", "authorization-server-metadata-cimd"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("authorization")) as made:
        made.settings('headless_desk = "terminal"\n')
        made.add_server("features", sys.executable, str(SERVER), str(made.project), folders=(f"{made.project}:rw",))
        made.start(*AGREEABLE, headless=True)
        yield made
        made.stop()
        made.verify()


def register(stage: Stage, callback: str) -> str:
    """A client of this one redirect URI; its id."""
    stage.cli("client", "pair", "--for", "1m")
    body = json.dumps({"client_name": "Conformance", "redirect_uris": [callback]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{stage.port}/register", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["client_id"])


@pytest.mark.parametrize("version", [LEGACY, MODERN])
def test_every_check_of_the_authorization_mode_passes(stage: Stage, tmp_path: Path, version: str) -> None:
    port, issuer = free_port(), f"http://127.0.0.1:{stage.port}"
    client_id = register(stage, f"http://127.0.0.1:{port}/callback")
    arguments = ["--url", issuer, "--client-id", client_id, "--resource", stage.endpoint("features")]
    command = [node(), str(SUITE), "authorization", *arguments, "-p", str(port), "-o", str(tmp_path)]
    said = []
    with subprocess.Popen(
        [*command, "--spec-version", version], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as suite:
        assert suite.stdout is not None
        for line in suite.stdout:
            said.append(line)
            if line.startswith(f"{issuer}/authorize?"):
                browser = [sys.executable, str(BROWSER), line.strip()]
                subprocess.run(browser, timeout=60, check=True, capture_output=True)

    checks = [check for file in tmp_path.glob("**/checks.json") for check in json.loads(file.read_text())]
    assert sorted(check["id"] for check in checks) == CHECKS, "".join(said)
    assert [(check["id"], check.get("errorMessage")) for check in checks if check["status"] != "SUCCESS"] == []
