"""Servers of ours on the two official SDKs, that offer what the suite asks for, and what it finds at them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance import suite
from tests.journeys.stage import NODE_FOLDER, REPO, free_port, node, until


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """How its server is started: with a port over HTTP, else on the standard streams; and what it reads meanwhile."""

    command: tuple[str, ...]
    folders: tuple[Path, ...]
    env: dict[str, str] = field(default_factory=dict)


SDKS = {
    "python": Sdk(
        command=(sys.executable, str(REPO / "tests" / "servers" / "everything.py")),
        folders=(REPO / "tests" / "servers",),
    ),
    "typescript": Sdk(
        command=(node(), str(REPO / "tests" / "node" / "everything.mjs")),
        folders=(REPO / "tests" / "node", NODE_FOLDER),
        env={"TEST_PACKAGES": str(NODE_FOLDER)},
    ),
}


@dataclass
class Served:
    """A server at `port`; what the suite finds at it directly is found once for each era."""

    sdk: Sdk
    port: int
    out: Path
    _found: dict[str, dict[suite.Check, list[str]]] = field(default_factory=dict)

    def checks(self, version: str) -> dict[suite.Check, list[str]]:
        """Every check of `version` without the gateway."""
        if version not in self._found:
            self._found[version] = suite.run(f"http://127.0.0.1:{self.port}/mcp", version, self.out / version)
        return self._found[version]


@contextmanager
def served(sdk: Sdk, out: Path) -> Iterator[Served]:
    """The server over HTTP, until the end of the context."""
    port, quiet = free_port(), subprocess.DEVNULL
    command = [*sdk.command, str(port)]
    server = subprocess.Popen(command, env={**os.environ, **sdk.env}, stdout=quiet, stderr=quiet)
    try:
        until(lambda: suite.listens(port))
        yield Served(sdk, port, out)
    finally:
        server.kill()
        server.wait()
