"""The main job: a real call of a client that is not ours, decided with keyboard or mouse, found again afterwards."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests.journeys.accessibility import names_in
from tests.journeys.screen import SETTLED_S, picture, press, wait_for_dialog, wait_for_no_dialog
from tests.journeys.stage import INSPECTOR, NODE_FOLDER, REPO, Stage, denied, node, text_of, until

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]


class Inspector:
    """The Inspector's command line."""

    tool_error_status = 5

    def __init__(self, stage: Stage, token: str) -> None:
        self.stage, self.token = stage, token

    def start(self, tool: str, arguments: dict[str, Any]) -> "subprocess.Popen[str]":
        command = [node(), str(INSPECTOR), "--cli", "--server-url", self.stage.endpoint(), "--transport", "http"]
        command += ["--header", f"Authorization: Bearer {self.token}", "--stored-auth-only", "--format", "json", "-q"]
        command += ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
        home = self.stage.root / "inspector"
        home.mkdir(exist_ok=True)
        environment = {**os.environ, "HOME": str(home), "MCP_CATALOG_PATH": str(home / "mcp.json")}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home
        )

    def result(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        out, err = process.communicate(timeout=90)
        assert process.returncode in {0, self.tool_error_status}, err
        found: dict[str, Any] = json.loads(out)
        return found.get("result", found)


class TypeScript:
    """A program on the TypeScript SDK."""

    def __init__(self, stage: Stage, token: str) -> None:
        self.stage, self.token = stage, token

    def start(self, tool: str, arguments: dict[str, Any]) -> "subprocess.Popen[str]":
        script = str(REPO / "tests" / "node" / "client.mjs")
        command = [node(), script, self.stage.endpoint(), self.token, tool, json.dumps(arguments)]
        environment = {**os.environ, "TEST_PACKAGES": str(NODE_FOLDER)}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.mark.parametrize("kind", [Inspector, TypeScript])
def test_one_call_is_denied_and_the_next_allowed_and_both_are_found_again(
    stage: Stage, kind: type[Inspector] | type[TypeScript]
) -> None:
    note = stage.project / "note.txt"
    note.write_text("the words of the note\n")
    stage.add_filesystem()
    token = stage.add_client()
    stage.start()
    client = kind(stage, token)

    refused = client.start("write_file", {"path": str(note), "content": "overwritten"})
    window = wait_for_dialog()
    picture(f"journey-{kind.__name__.lower()}-write")
    press(window, "Escape")
    result = client.result(refused)
    assert denied(result) == "refused-by-person"
    assert "person" in text_of(result)
    assert note.read_text() == "the words of the note\n"
    wait_for_no_dialog()

    allowed = client.start("read_text_file", {"path": str(note)})
    window = wait_for_dialog()
    picture(f"journey-{kind.__name__.lower()}-read")
    allow_when_it_may_be(window, allowed)
    assert "the words of the note" in text_of(client.result(allowed))

    assert stage.endings("write_file") == [("denied", "refused-by-person")]
    assert stage.endings("read_text_file") == [("allowed", "")]
    until(lambda: {"write_file", "read_text_file"} <= words_on_screen(), 20, "the activity window does not show both")
    picture(f"journey-{kind.__name__.lower()}-activity")
    assert stage.stop() == 0
    stage.verify()


def allow_when_it_may_be(window: str, waiting: "subprocess.Popen[str]") -> None:
    """Alt+A until the call goes on; the dialog takes it only when it has settled."""

    def pressed() -> bool:
        press(window, "alt+a")
        try:
            waiting.wait(SETTLED_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    until(pressed, 15, "Alt+A did not allow")


def words_on_screen() -> set[str]:
    """The words of every accessible name in the program's windows."""
    return {word for name in names_in("ztmcp") for word in re.findall(r"\w+", name)}
