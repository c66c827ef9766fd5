"""The official conformance suite in both eras: through the gateway, not one check fewer than directly."""

import asyncio
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.conformance.era_wall import EraWall
from tests.conformance.header_proxy import HeaderProxy
from tests.journeys.stage import REPO, Stage, free_port, stage_in, until

LEGACY, MODERN = "2025-11-25", "2026-07-28"
# How the server stands behind the gateway, and the eras of the clients; behind a wall it speaks only one era.
STANDS = {"http": (LEGACY, MODERN), "stdio": (LEGACY, MODERN), "only-legacy": (MODERN,), "only-modern": (LEGACY,)}
WALLS = {"only-legacy": LEGACY, "only-modern": MODERN}
EVERYTHING = str(REPO / "tests" / "servers" / "everything.py")
EXPECTED = tomllib.loads(Path(__file__).with_name("expected.toml").read_text(encoding="utf-8"))
NAME = "everything"
FEWEST_CHECKS = 80
RULE = """permit (
  principal == Client::"tests",
  action in [Action::"call_without_asking", Action::"read_without_asking", Action::"other_without_asking",
    Action::"ask_person", Action::"sample"],
  resource in Server::"everything"
);
"""
# What servers ask of a person is always asked; here a person sits at the terminal who says yes to all.
AGREEABLE = ("bash", "-c", 'exec "$0" -m ztmcp_desktop "$@" < <(yes y)', sys.executable)


@dataclass(frozen=True)
class Stand:
    """One server, twice: as it is, and behind the gateway."""

    direct: str
    through: str


def expected(transport: str, version: str) -> set[suite.Check]:
    return {
        (entry["scenario"], check)
        for entry in EXPECTED["lost"]
        if version == entry["version"] and transport in entry["stands"]
        for check in entry["checks"]
    }


def set_up(stage: Stage, server_port: int, transport: str) -> str:
    """Approve the server and start the gateway; gives the token of the client `tests`."""
    origins = [f"http://{host}:{stage.port}" for host in ("localhost", "127.0.0.1")]
    stage.settings(f'headless_desk = "terminal"\nallowed_origins = {origins}\n'.replace("'", '"'))
    if transport != "stdio":
        stage.cli("server", "add", NAME, "--url", f"http://127.0.0.1:{server_port}/mcp")
        stage.cli("server", "approve", NAME, "--yes")
    else:
        stage.add_server(NAME, sys.executable, EVERYTHING, folders=(f"{Path(EVERYTHING).parent}:ro",))
    rule = stage.root / "conformance.cedar"
    rule.write_text(RULE, encoding="utf-8")
    stage.cli("rule", "add", str(rule))
    token = stage.add_client()
    stage.start(*AGREEABLE, headless=True)
    return token


@asynccontextmanager
async def standing(root: Path, transport: str) -> AsyncIterator[Stand]:
    port, proxy_port = free_port(), free_port()
    quiet = asyncio.subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(sys.executable, EVERYTHING, str(port), stdout=quiet, stderr=quiet)
    try:
        with stage_in(root) as stage, ExitStack() as opened:
            await asyncio.to_thread(until, lambda: suite.listens(port))
            behind = port
            if transport in WALLS:
                behind = free_port()
                walled = await EraWall(behind, port, WALLS[transport]).serve()
                opened.callback(walled.close)
            token = await asyncio.to_thread(set_up, stage, behind, transport)
            proxy = await HeaderProxy(proxy_port, stage.port, f"/s/{NAME}/mcp", token).serve()
            yield Stand(f"http://127.0.0.1:{port}/mcp", f"http://127.0.0.1:{proxy_port}/mcp")
            proxy.close()
    finally:
        server.kill()
        await server.wait()


@pytest.mark.screen
@pytest.mark.timeout(240)
@pytest.mark.parametrize("transport", list(STANDS))
async def test_no_check_of_the_suite_is_lost(tmp_path: Path, transport: str) -> None:
    found = {}
    async with standing(tmp_path, transport) as stand:
        for version in STANDS[transport]:
            out = tmp_path / version
            direct = await asyncio.to_thread(suite.run, stand.direct, version, out / "direct")
            through = await asyncio.to_thread(suite.run, stand.through, version, out / "through")
            assert suite.counts(direct)["passed"] >= FEWEST_CHECKS, "the suite itself did not run"
            found[version] = suite.missing(direct, through)
    for version, lost in found.items():
        listed = expected(transport, version)
        unexpected = {check: why for check, why in lost.items() if check not in listed}
        assert unexpected == {}, f"{version} over {transport}"
        assert listed - lost.keys() == set(), f"{version} over {transport}: these pass now; take them off the list"
