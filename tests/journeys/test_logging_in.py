"""Clients that others wrote log in with nothing but the address, and the person answers in our window (Show 3)."""

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.journeys import screen
from tests.journeys.stage import INSPECTOR, NODE_FOLDER, REPO, Stage, node, stage_in, until

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
FAST = Path(os.environ.get("ZTMCP_TEST_FASTMCP", REPO / ".cache" / "fastmcp")) / "bin" / "python"
CLIENTS = REPO / "tests" / "journeys" / "clients"
SERVER = REPO / "tests" / "servers" / "features.py"
ALLOW = """permit (principal, action == Action::"call_without_asking", resource);\n"""
CHANGE = "ztmcp – allow this change?"  # noqa: RUF001 - as the window writes it
TOOLS = ["ask", "big", "steps", "wait"]
READ, CALL = "server:features:read", "server:features:call"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("logins")) as made:
        made.add_server("features", sys.executable, str(SERVER), str(made.project), folders=(f"{made.project}:rw",))
        rule = made.root / "allow.cedar"
        rule.write_text(ALLOW)
        made.cli("rule", "add", str(rule))
        made.start()
        yield made
        made.stop()
        made.verify()


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """The program that clients open addresses with; what it was shown is in `pages` beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "xdg-open"
    # Like the real one, it is back before the browser has shown anything.
    program.write_text(
        f'#!/bin/sh\n{sys.executable} {CLIENTS / "browser.py"} "$1" '
        f">>{tmp_path / 'pages'} 2>>{tmp_path / 'errors'} </dev/null &\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def dialog() -> str:
    """The proposal's window, once it is there and active."""
    window = until(lambda: screen.windows(CHANGE), 40, "no dialog appeared")[0]
    until(lambda: screen._run("xdotool", "getactivewindow").strip() == window, 10, "it did not become active")
    return window


def answer(key: str, name: str | None = None) -> None:
    """Answer the dialog that is shown, as a person does: by the keyboard, when the button works."""
    window = dialog()
    if name is not None:
        screen.picture(name)
    for _ in range(40):
        screen.press(window, key)
        with contextlib.suppress(AssertionError):
            until(lambda: window not in screen.windows(CHANGE), 0.5, "it is still there")
            return
    raise AssertionError("the dialog took no answer")


def let_register(stage: Stage) -> None:
    """The person opens pairing: by the command, which their own window asks about."""
    asking = threading.Thread(target=stage.cli, args=("client", "pair"))
    asking.start()
    answer("alt+a")
    asking.join(30)


def run(command: list[str], browser: Path, home: Path, *keys: str, picture: str | None = None) -> dict[str, Any]:
    """What the client printed, with the dialogs answered by these keys in turn."""
    environment = {
        **os.environ,
        "PATH": f"{browser.parent}:{os.environ['PATH']}",
        "BROWSER": str(browser),
        "HOME": str(home),
        "TEST_PACKAGES": str(NODE_FOLDER),
        "MCP_AUTO_OPEN_ENABLED": "true",
        "MCP_CATALOG_PATH": str(home / "mcp.json"),
    }
    client = subprocess.Popen(
        command,
        env=environment,
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for number, key in enumerate(keys):
            answer(key, f"{picture}-{number + 1}" if picture else None)
        out, err = client.communicate("y\n", timeout=90)
    finally:
        client.kill()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {"status": client.returncode, "stderr": err}
    return found


def denied_at_its_callback(folder: Path) -> bool:
    """Whether the browser took `access_denied`, and no code, to a client's own address; a client may ask again."""
    sent = re.findall(r"^sent to (http://\S+/callback\?\S+)$", (folder / "pages").read_text(), re.MULTILINE)
    answers = [dict(parse_qsl(urlsplit(address).query)) for address in sent]
    return any(answer.get("error") == "access_denied" for answer in answers) and not any(
        "code" in one for one in answers
    )


LOGINS = {
    "typescript-1": [node(), str(REPO / "tests" / "node" / "login.mjs"), "v1"],
    "typescript-2-legacy": [node(), str(REPO / "tests" / "node" / "login.mjs"), "v2-legacy"],
    "typescript-2-auto": [node(), str(REPO / "tests" / "node" / "login.mjs"), "v2-auto"],
    "fastmcp": [str(FAST), str(CLIENTS / "fast_login.py")],
}


@pytest.mark.parametrize("name", LOGINS)
def test_a_client_logs_in_to_look_and_again_to_call(stage: Stage, browser: Path, tmp_path: Path, name: str) -> None:
    let_register(stage)
    before = len(stage.json("client", "list"))

    seen = run(
        [*LOGINS[name], stage.endpoint("features")], browser, tmp_path, "alt+a", "alt+a", picture=f"login-{name}"
    )

    assert seen.get("tools") == TOOLS, seen
    assert seen["called"] == "1 steps"
    if "scopes" in seen:
        assert seen["scopes"][0] == READ
        assert set(seen["scopes"][1].split()) == {READ, CALL}
    pages = (tmp_path / "pages").read_text()
    assert "only waits for your answer" in pages
    assert "<form" not in pages
    clients = stage.json("client", "list")
    assert len(clients) == before + 1
    made = max(clients, key=lambda client: str(client["created"]))
    assert made["may"] == {"features": ["read", "call"]}
    assert made["last_seen_at"] is not None


@pytest.mark.parametrize("name", LOGINS)
def test_a_no_reaches_the_client_as_access_denied(stage: Stage, browser: Path, tmp_path: Path, name: str) -> None:
    let_register(stage)
    before = stage.json("client", "list")

    seen = run([*LOGINS[name], stage.endpoint("features")], browser, tmp_path, "Escape")

    assert denied_at_its_callback(tmp_path)
    if name == "fastmcp":
        assert "Access was denied" in seen["failure"]
    else:
        assert seen["refused"]["error"] == "access_denied"
        assert seen["refused"]["state"] == "state-of-the-test"
    assert "tools" not in seen
    assert [client["name"] for client in stage.json("client", "list")] == [client["name"] for client in before]


INSPECT = [node(), str(INSPECTOR), "--cli", "--transport", "http", "--format", "json", "-q", "--server-url"]


def test_the_inspector_logs_in_and_is_told_of_a_no(stage: Stage, browser: Path, tmp_path: Path) -> None:
    let_register(stage)
    listing = [*INSPECT, stage.endpoint("features"), "--method", "tools/list"]

    refused = run(listing, browser, tmp_path, "Escape")

    assert denied_at_its_callback(tmp_path)
    assert "the person at this computer said no" in refused["stderr"]

    let_in = run(listing, browser, tmp_path, "alt+a", picture="login-inspector")

    tools = let_in.get("result", let_in)["tools"]
    assert sorted(tool["name"] for tool in tools) == TOOLS
