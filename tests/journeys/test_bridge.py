"""A client that only speaks stdio comes over the bridge: the person is asked natively, and both answers reach it."""

import json
import os
import subprocess
import sys

import pytest

from tests.journeys.screen import click, picture, press, windows
from tests.journeys.stage import NODE_FOLDER, REPO, ZTMCP, Stage, node, until

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
CHANGE = "ztmcp – allow this change?"  # noqa: RUF001 - the window's title
SHOW_NEXT = (702, 70)
SERVER = REPO / "tests" / "servers" / "features.py"
ALLOW = """permit (principal, action in [Action::"call_without_asking", Action::"ask_person"], resource);\n"""
BRIDGE = json.dumps([*ZTMCP, "bridge", "features"])
TYPESCRIPT = [node(), str(REPO / "tests" / "node" / "features.mjs"), "v2-auto", BRIDGE]
PYTHON = [sys.executable, str(REPO / "tests" / "journeys" / "clients" / "official.py"), "2026-07-28", BRIDGE]


def started(stage: Stage, command: list[str]) -> "subprocess.Popen[str]":
    client = subprocess.Popen(
        command,
        env={**stage.environment, "TEST_PACKAGES": str(NODE_FOLDER)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    # In the place of a token, which a client of the bridge does not have.
    client.stdin.write("\n")
    client.stdin.flush()
    return client


def answer(key: str, name: str) -> None:
    """Press `key` until the question is decided; the dialog takes it only when it has settled."""
    window = until(lambda: windows(CHANGE), 30, "nobody was asked")[0]
    picture(name)

    def decided() -> bool:
        # Where the facts are longer than the box, all of them must have been shown before a yes.
        click(window, *SHOW_NEXT)
        press(window, key)
        return not windows(CHANGE)

    until(decided, 30, f"{key} decided nothing")


@pytest.mark.attack("P14", "N10")
def test_the_person_lets_one_program_in_and_the_other_one_not(stage: Stage) -> None:
    stage.add_server("features", sys.executable, str(SERVER), str(stage.project), folders=(f"{stage.project}:rw",))
    rule = stage.root / "allow.cedar"
    rule.write_text(ALLOW)
    stage.cli("rule", "add", str(rule))
    stage.start()

    refused = started(stage, TYPESCRIPT)
    answer("Escape", "bridge-proposal")
    out, err = refused.communicate("\n", timeout=60)
    assert refused.returncode != 0
    assert "waiting" not in out
    assert "the person at this computer said no" in err

    allowed = started(stage, PYTHON)
    answer("alt+a", "bridge-proposal-of-python")
    out, err = allowed.communicate("\n", timeout=90)
    assert allowed.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["counted"] == "5 steps"

    [client] = stage.json("client", "list")
    assert client["program"] == f"{os.path.realpath(PYTHON[0])} {PYTHON[1]}"
    assert [row["outcome"] for row in stage.rows() if row["method"] == "pair"] == ["denied", ""]
    assert stage.stop() == 0
    stage.verify()
