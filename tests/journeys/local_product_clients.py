"""Products as their makers ship them, without an account: that they reach a server through the gateway and its bridge.

Not part of the tests that run by themselves, since both download much and change often. By hand, once
`@anthropic-ai/claude-code` and `@google/gemini-cli` are installed with npm in a folder:

    ZTMCP_TEST_PRODUCTS=FOLDER packaging/with-keychain .venv/bin/pytest tests/journeys/local_product_clients.py
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.stage import REPO, Stage, node, stage_in

BIN = Path(os.environ.get("ZTMCP_TEST_PRODUCTS", "")) / "node_modules" / ".bin"
SERVER = REPO / "tests" / "servers" / "features.py"
PATIENCE_S = 120


@dataclass
class Desk:
    """A person's home with the gateway running, and what the products need of it."""

    stage: Stage
    token: str

    def run(self, product: str, *arguments: str) -> str:
        """What the product prints."""
        home = self.stage.root / "person"
        (home / ".gemini").mkdir(parents=True, exist_ok=True)
        trusting = {"security": {"folderTrust": {"enabled": False}}}
        settings = home / ".gemini" / "settings.json"
        if not settings.exists():
            settings.write_text(json.dumps(trusting))
        path = f"{Path(node()).parent}:/usr/bin:/bin"
        done = subprocess.run(
            [str(BIN / product), "mcp", *arguments],
            env={**self.stage.environment, "HOME": str(home), "PATH": path, "PYTHONPATH": str(REPO)},
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with stage_in(tmp_path_factory.mktemp("products")) as stage:
        stage.add_server("features", sys.executable, str(SERVER), str(stage.project), folders=(f"{stage.project}:rw",))
        token = stage.add_client()
        stage.start(headless=True)
        yield Desk(stage, token)
        stage.stop()
        stage.verify()


def listed(desk: Desk) -> dict[str, str]:
    """The line that Claude Code has for each server."""
    return {line.partition(":")[0]: line for line in desk.run("claude", "list").splitlines()}


def test_claude_code_connects_with_its_token_and_not_with_another(desk: Desk) -> None:
    url = desk.stage.endpoint("features")
    for name, token in (("right", desk.token), ("wrong", "ztmcp_wrong")):
        desk.run("claude", "add", "--transport", "http", name, url, "--header", f"Authorization: Bearer {token}")
    desk.run("claude", "add", "--transport", "http", "none", url)
    lines = listed(desk)
    assert "Connected" in lines["right"]
    assert "Failed to connect" in lines["wrong"]
    assert "401" in lines["wrong"]
    assert "Needs authentication" in lines["none"]


def test_claude_code_connects_over_the_bridge_once_it_may(desk: Desk) -> None:
    desk.run("claude", "add", "bridge", "--", sys.executable, "-m", "ztmcp_desktop", "bridge", "features")
    assert "--program" in listed(desk)["bridge"]
    desk.stage.cli("client", "add", "claude", "--server", "features", "--program", str((BIN / "claude").resolve()))
    assert "Connected" in listed(desk)["bridge"]


def test_gemini_cli_connects(desk: Desk) -> None:
    url = desk.stage.endpoint("features")
    header = f"Authorization: Bearer {desk.token}"
    desk.run("gemini", "add", "--transport", "http", "--scope", "user", "-H", header, "features", url)
    assert f"features: {url} (http) - Connected" in desk.run("gemini", "list")
