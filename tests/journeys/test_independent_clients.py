"""Clients that others wrote, in both eras: progress, cancellation, a server's question, and an answer of 5 MB."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.stage import INSPECTOR, NODE_FOLDER, REPO, ZTMCP, RawClient, Stage, denied, node, stage_in, until

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
FAST = Path(os.environ.get("ZTMCP_TEST_FASTMCP", REPO / ".cache" / "fastmcp")) / "bin" / "python"
SERVER = REPO / "tests" / "servers" / "features.py"
SIZE = 5_000_000
ALLOW = """permit (principal, action in [Action::"call_without_asking", Action::"ask_person"], resource);\n"""
NODE_CLIENT = str(REPO / "tests" / "node" / "features.mjs")
CLIENTS = {
    "typescript-1": [node(), NODE_CLIENT, "v1"],
    "typescript-2-legacy": [node(), NODE_CLIENT, "v2-legacy"],
    "typescript-2-auto": [node(), NODE_CLIENT, "v2-auto"],
    "fastmcp": [str(FAST), str(REPO / "tests" / "journeys" / "clients" / "fast.py")],
}


THIEF = str(REPO / "tests" / "node" / "client.mjs")
OFFICIAL = str(REPO / "tests" / "journeys" / "clients" / "official.py")
OVER_BRIDGE = {
    **CLIENTS,
    "official-legacy": [sys.executable, OFFICIAL, "legacy"],
    "official-modern": [sys.executable, OFFICIAL, "2026-07-28"],
    "official-auto": [sys.executable, OFFICIAL, "auto"],
}
BRIDGE = json.dumps([*ZTMCP, "bridge", "features"])


@dataclass
class Served:
    stage: Stage

    def token(self, client: str) -> str:
        """A token for each program: one that another program uses would be asked about."""
        return self.stage.add_client(client)

    def let_in(self, *command: str) -> None:
        """Let what runs as this interpreter and this script come over the bridge, once."""
        place = f"{os.path.realpath(command[0])} {command[1]}"
        if not any(client["program"] == place for client in self.stage.json("client", "list")):
            self.stage.cli("client", "add", f"c{zlib.crc32(place.encode()):08x}", "--program", place)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with stage_in(tmp_path_factory.mktemp("clients")) as stage:
        command = (sys.executable, str(SERVER), str(stage.project))
        stage.add_server("features", *command, folders=(f"{stage.project}:rw",))
        rule = stage.root / "allow.cedar"
        rule.write_text(ALLOW)
        stage.cli("rule", "add", str(rule))
        stage.start(headless=True)
        yield Served(stage)
        stage.stop()
        stage.verify()


@pytest.mark.parametrize("name", list(CLIENTS))
def test_it_sees_progress_cancels_answers_a_question_and_takes_a_large_answer(served: Served, name: str) -> None:
    play(served, [*CLIENTS[name], served.stage.endpoint("features")], served.token(name))


@pytest.mark.parametrize("name", list(OVER_BRIDGE))
def test_over_the_bridge_it_sees_the_same(served: Served, name: str) -> None:
    served.let_in(*OVER_BRIDGE[name])
    play(served, [*OVER_BRIDGE[name], BRIDGE], "")


@pytest.mark.attack("P14")
def test_a_token_that_another_program_uses_passes_no_rule(served: Served) -> None:
    token = served.token("stolen")
    raw = RawClient(served.stage.endpoint("features"), token).open()
    assert denied(raw.call("steps", count=1)) is None

    stolen = subprocess.run(
        [node(), THIEF, served.stage.endpoint("features"), token, "steps", '{"count": 1}'],
        env={**served.stage.environment, "TEST_PACKAGES": str(NODE_FOLDER)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert denied(json.loads(stolen.stdout)) == "nobody-there"
    assert denied(raw.call("steps", count=1)) is None

    calls = [row for row in served.stage.rows() if row["client"] == "stolen" and row["subject"] == "steps"]
    bodies = [json.loads(row["body"]) for row in calls if row["kind"] == "opened"]
    assert [Path(body["caller"]["script"]).name for body in bodies[1:2]] == [Path(THIEF).name]
    assert [body["claimed"] for body in bodies] == ["raw 1", "journey 1.0.0", "raw 1"]
    assert [row["code"] or "" for row in calls if row["kind"] == "closed"] == ["", "nobody-there", ""]


def play(served: Served, command: list[str], token: str) -> None:
    marks = [served.stage.project / mark for mark in ("waiting", "cancelled")]
    for mark in marks:
        mark.unlink(missing_ok=True)
    client = subprocess.Popen(
        command,
        env={**served.stage.environment, "TEST_PACKAGES": str(NODE_FOLDER)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(token + "\n")
    client.stdin.flush()
    assert client.stdout.readline() == "waiting\n", client.communicate()[1]
    until(marks[0].exists, 20, "the call did not reach the server")
    assert not marks[1].exists()
    client.stdin.write("stop\n")
    client.stdin.flush()
    until(marks[1].exists, 20, "the server was not told that the client gave up")
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    seen = json.loads(out)
    assert seen == {
        "tools": ["ask", "big", "steps", "wait"],
        "steps": [1, 2, 3, 4, 5],
        "counted": "5 steps",
        "asked": "accept green",
        "big": SIZE,
        "after": "1 steps",
    }


@pytest.mark.parametrize("era", ["legacy", "modern", "auto"])
def test_the_inspector_lists_and_takes_a_large_answer(served: Served, era: str, tmp_path: Path) -> None:
    token = served.token(f"inspector-{era}")
    tools = inspect(served, era, token, tmp_path, "--method", "tools/list")
    assert sorted(tool["name"] for tool in tools["tools"]) == ["ask", "big", "steps", "wait"]
    call = ("--method", "tools/call", "--tool-name", "big", "--tool-args-json", json.dumps({"size": SIZE}))
    assert len(inspect(served, era, token, tmp_path, *call)["content"][0]["text"]) == SIZE


def inspect(served: Served, era: str, token: str, home: Path, *arguments: str) -> dict[str, Any]:
    command = [
        node(),
        str(INSPECTOR),
        "--cli",
        "--server-url",
        served.stage.endpoint("features"),
        "--transport",
        "http",
    ]
    command += ["--header", f"Authorization: Bearer {token}", "--stored-auth-only", "--format", "json", "-q"]
    done = subprocess.run(
        [*command, "--protocol-era", era, *arguments],
        env={**os.environ, "HOME": str(home), "MCP_CATALOG_PATH": str(home / "mcp.json")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found.get("result", found)
