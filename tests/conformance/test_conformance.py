"""The official conformance suite in both eras: through the gateway, not one check fewer than directly."""

import asyncio
import json
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conformance import suite
from tests.conformance.era_wall import EraWall
from tests.conformance.header_proxy import HeaderProxy
from tests.conformance.one_request import OneRequestProxy
from tests.conformance.sdk_servers import SDKS, Served, served
from tests.journeys.stage import Stage, free_port, stage_in

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]
LEGACY, MODERN = "2025-11-25", "2026-07-28"
EXPECTED = tomllib.loads(Path(__file__).with_name("expected.toml").read_text(encoding="utf-8"))
FEWEST_CHECKS = 80
RULE = """permit (
  principal == Client::"tests",
  action in [Action::"call_without_asking", Action::"read_without_asking", Action::"other_without_asking",
    Action::"ask_person", Action::"sample"],
  resource
);
"""
# What servers ask of a person is always asked; here a person sits at the terminal who says yes to all.
AGREEABLE = ("bash", "-c", 'exec "$0" -m ztmcp_desktop "$@" < <(yes y)', sys.executable)


@dataclass(frozen=True, kw_only=True)
class Stand:
    """How a server stands behind the gateway, and the eras of the clients; behind a wall it speaks only one era."""

    sdk: str = "python"
    over: str = "http"
    eras: tuple[str, ...] = (LEGACY, MODERN)
    wall: str | None = None


# By the name that the gateway knows the server by.
STANDS = {
    "http": Stand(),
    "stdio": Stand(over="stdio"),
    "only-legacy": Stand(eras=(MODERN,), wall=LEGACY),
    "only-modern": Stand(eras=(LEGACY,), wall=MODERN),
    "typescript-http": Stand(sdk="typescript"),
    "typescript-stdio": Stand(sdk="typescript", over="stdio"),
    "typescript-only-legacy": Stand(sdk="typescript", eras=(MODERN,), wall=LEGACY),
    "typescript-only-modern": Stand(sdk="typescript", eras=(LEGACY,), wall=MODERN),
}


@dataclass(frozen=True)
class Standing:
    """A server by itself, and the address at which the suite finds it behind the gateway."""

    direct: Served
    through: str


def expected(stand: str, version: str) -> set[suite.Check]:
    return {
        (entry["scenario"], check)
        for entry in EXPECTED["lost"]
        if version == entry["version"] and stand in entry["stands"]
        for check in entry["checks"]
    }


def add(stage: Stage, name: str, server: Served, port: int) -> None:
    """Propose and approve the server that stands so; over HTTP it is at `port`."""
    if STANDS[name].over == "http":
        stage.cli("server", "add", name, "--url", f"http://127.0.0.1:{port}/mcp")
        stage.cli("server", "approve", name, "--yes")
    else:
        folders = tuple(f"{folder}:ro" for folder in server.sdk.folders)
        stage.add_server(name, *server.sdk.command, folders=folders, env=server.sdk.env)


def start(stage: Stage) -> str:
    """Start the gateway; gives the token of the client `tests`."""
    rule = stage.root / "conformance.cedar"
    rule.write_text(RULE, encoding="utf-8")
    stage.cli("rule", "add", str(rule))
    token = stage.add_client()
    stage.start(*AGREEABLE, headless=True)
    return token


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Standing]]:
    """Every stand, behind one gateway."""
    async with AsyncExitStack() as opened:

        async def listen(proxy: OneRequestProxy) -> None:
            await proxy.serve()
            opened.push_async_callback(proxy.close)

        folder = tmp_path_factory.mktemp("conformance")
        servers = {name: opened.enter_context(served(sdk, folder / name)) for name, sdk in SDKS.items()}
        stage = opened.enter_context(stage_in(folder / "stage"))
        origins = json.dumps([f"http://{host}:{stage.port}" for host in ("localhost", "127.0.0.1")])
        stage.settings(f'headless_desk = "terminal"\nallowed_origins = {origins}\n')
        for name, stand in STANDS.items():
            port = servers[stand.sdk].port
            if stand.wall is not None:
                port = free_port()
                await listen(EraWall(port, servers[stand.sdk].port, stand.wall))
            await asyncio.to_thread(add, stage, name, servers[stand.sdk], port)
        token = await asyncio.to_thread(start, stage)
        found = {}
        for name, stand in STANDS.items():
            port = free_port()
            await listen(HeaderProxy(port, stage.port, f"/s/{name}/mcp", token))
            found[name] = Standing(servers[stand.sdk], f"http://127.0.0.1:{port}/mcp")
        yield found


@pytest.mark.parametrize(("name", "version"), [(name, era) for name, stand in STANDS.items() for era in stand.eras])
async def test_no_check_of_the_suite_is_lost(
    tmp_path: Path, standing: dict[str, Standing], name: str, version: str
) -> None:
    direct = await asyncio.to_thread(standing[name].direct.checks, version)
    through = await asyncio.to_thread(suite.run, standing[name].through, version, tmp_path)
    assert suite.counts(direct)["passed"] >= FEWEST_CHECKS, "the suite itself did not run"
    lost, listed = suite.missing(direct, through), expected(name, version)
    unexpected = {check: why for check, why in lost.items() if check not in listed}
    assert unexpected == {}
    assert listed - lost.keys() == set(), "these pass now; take them off the list"
