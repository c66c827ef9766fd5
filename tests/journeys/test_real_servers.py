"""Servers that others wrote, confined, each listed and called through the gateway and doing its real work."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.stage import MODULES, REPO, RawClient, Stage, denied, node, stage_in, text_of

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
ALLOW = """permit (principal, action == Action::"call_without_asking", resource);\n"""
# Servers that need an SDK older than 2, in an environment of their own.
OLDER = Path(os.environ.get("ZTMCP_TEST_OLDER", REPO / ".cache" / "older")) / "bin"
HERE = Path(sys.executable).parent
DATABASE = "CREATE TABLE towns (name TEXT, people INTEGER)"


@dataclass(frozen=True, kw_only=True)
class Real:
    """A server, what it must offer, and calls with a text that each answer holds."""

    command: tuple[str, ...]
    tools: frozenset[str]
    calls: tuple[tuple[str, dict[str, Any], str], ...]
    env: dict[str, str] = field(default_factory=dict)


def npm(name: str, *arguments: str) -> tuple[str, ...]:
    return (node(), str(MODULES / name / "dist" / "index.js"), *arguments)


def servers(folder: Path) -> dict[str, Real]:
    """Every server, with `folder` as the only one that it may touch."""
    thought = {"thought": "one step", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}
    town = {"name": "Graz", "entityType": "town", "observations": ["on the Mur"]}
    note, database = str(folder / "note.txt"), str(folder / "towns.db")
    return {
        "everything": Real(
            command=npm("server-everything"),
            tools=frozenset({"echo", "get-sum", "get-structured-content"}),
            calls=(("echo", {"message": "hello"}, "hello"), ("get-sum", {"a": 2, "b": 3}, "5")),
        ),
        "filesystem": Real(
            command=npm("server-filesystem", str(folder)),
            tools=frozenset({"read_text_file", "write_file", "directory_tree"}),
            calls=(
                ("write_file", {"path": note, "content": "written through the gateway"}, "note.txt"),
                ("read_text_file", {"path": note}, "written through the gateway"),
            ),
        ),
        "memory": Real(
            command=npm("server-memory"),
            tools=frozenset({"create_entities", "read_graph"}),
            calls=(("create_entities", {"entities": [town]}, "Graz"), ("read_graph", {}, "on the Mur")),
            env={"MEMORY_FILE_PATH": str(folder / "memory.jsonl")},
        ),
        "sequential": Real(
            command=npm("server-sequential-thinking"),
            tools=frozenset({"sequentialthinking"}),
            calls=(("sequentialthinking", thought, "thoughtNumber"),),
        ),
        "time": Real(
            command=(str(HERE / "mcp-server-time"), "--local-timezone", "UTC"),
            tools=frozenset({"get_current_time", "convert_time"}),
            calls=(("get_current_time", {"timezone": "Europe/Vienna"}, "Europe/Vienna"),),
        ),
        "git": Real(
            command=(str(HERE / "mcp-server-git"), "--repository", str(folder / "repository")),
            tools=frozenset({"git_status", "git_log", "git_commit"}),
            calls=(
                ("git_status", {"repo_path": str(folder / "repository")}, "committed.txt"),
                ("git_add", {"repo_path": str(folder / "repository"), "files": ["committed.txt"]}, "staged"),
                ("git_commit", {"repo_path": str(folder / "repository"), "message": "by a tool"}, "committed"),
                ("git_log", {"repo_path": str(folder / "repository")}, "by a tool"),
            ),
        ),
        "sqlite": Real(
            command=(str(OLDER / "mcp-server-sqlite"), "--db-path", database),
            tools=frozenset({"read_query", "write_query", "create_table"}),
            calls=(
                ("create_table", {"query": DATABASE}, "success"),
                ("write_query", {"query": "INSERT INTO towns VALUES ('Graz', 300000)"}, "1"),
                ("read_query", {"query": "SELECT name FROM towns"}, "Graz"),
            ),
        ),
        "duckdb": Real(
            command=(str(OLDER / "mcp-server-duckdb"), "--db-path", str(folder / "towns.duckdb")),
            tools=frozenset({"query"}),
            calls=(
                ("query", {"query": DATABASE}, ""),
                ("query", {"query": "INSERT INTO towns VALUES ('Linz', 210000)"}, ""),
                ("query", {"query": "SELECT name FROM towns"}, "Linz"),
            ),
        ),
    }


@dataclass
class Behind:
    """The gateway with all of them behind it."""

    stage: Stage
    token: str
    all: dict[str, Real]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with stage_in(tmp_path_factory.mktemp("real")) as stage:
        repository = stage.project / "repository"
        subprocess.run(["git", "init", "-q", str(repository)], check=True)
        for key in ("user.name", "user.email"):
            subprocess.run(["git", "-C", str(repository), "config", key, "tests"], check=True)
        (repository / "committed.txt").write_text("to be committed\n")
        every = servers(stage.project)
        for name, real in every.items():
            stage.add_server(name, *real.command, folders=(f"{stage.project}:rw",), env=real.env)
        rule = stage.root / "allow.cedar"
        rule.write_text(ALLOW)
        stage.cli("rule", "add", str(rule))
        token = stage.add_client()
        stage.start(headless=True)
        yield Behind(stage, token, every)
        stage.stop()
        stage.verify()


@pytest.mark.parametrize("name", list(servers(Path("/"))))
def test_it_is_listed_and_does_its_work(behind: Behind, name: str) -> None:
    real = behind.all[name]
    raw = RawClient(behind.stage.endpoint(name), behind.token).open()
    listed = {tool["name"] for tool in raw.request("tools/list", {})["result"]["tools"]}
    assert real.tools <= listed
    for tool, arguments, expected in real.calls:
        result = raw.call(tool, **arguments)
        assert denied(result) is None, text_of(result)
        assert not result.get("isError"), text_of(result)
        assert expected in text_of(result)
