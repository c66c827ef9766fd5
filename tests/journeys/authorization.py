"""Authorization servers that are not ours, and a protected server of the official SDK that trusts one of them."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.suite import listens
from tests.journeys.stage import NODE_FOLDER, REPO, free_port, node, until

END_S = 10
MOCK = Path(os.environ.get("ZTMCP_TEST_OIDC", REPO / ".cache" / "oidc")) / "bin" / "python"


@dataclass
class Running:
    """A server at `port`; `log` is what it writes, a line for each request where it is an authorization server."""

    port: int
    log: Path
    process: "subprocess.Popen[str]"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[str]:
        return re.findall(r"\b(?:GET|POST) /[^ ?\n]*", self.log.read_text())

    def end(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(END_S)


@contextmanager
def _running(log: Path, port: int, *command: str, **environment: str) -> Iterator[Running]:
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=subprocess.STDOUT, text=True
        )
    running = Running(port, log, process)
    try:
        until(lambda: listens(port))
        yield running
    finally:
        running.end()


@contextmanager
def oidc_provider(folder: Path, life_s: int, audience: str | None = None) -> Iterator[Running]:
    """The certified server from npm."""
    port = free_port()
    script = str(REPO / "tests" / "node" / "authorization_server.mjs")
    more = [audience] if audience else []
    command = [node(), script, str(port), str(life_s), *more]
    with _running(folder / f"as-{port}.log", port, *command, TEST_PACKAGES=str(NODE_FOLDER)) as running:
        yield running


@contextmanager
def oidc_provider_mock(folder: Path) -> Iterator[Running]:
    """The server from PyPI, in an environment of its own. It has no PKCE, and does not say that it has."""
    port = free_port()
    command = [str(MOCK), "-m", "oidc_provider_mock", "-p", str(port), "--user", "ada"]
    with _running(folder / f"as-{port}.log", port, *command) as running:
        yield running


@contextmanager
def protected(folder: Path, port: int, issuer: str, scope: str = "files:read") -> Iterator[Running]:
    """The MCP server, which takes tokens of `issuer` alone."""
    script = str(REPO / "tests" / "servers" / "protected.py")
    with _running(folder / f"mcp-{port}.log", port, sys.executable, script, str(port), issuer, scope) as running:
        yield running


def revoke_all(issuer: Running) -> None:
    """What the person did at the authorization server's own page: no refresh token is good any more."""
    with urllib.request.urlopen(f"{issuer.origin}/revoke-all", timeout=END_S):
        pass
