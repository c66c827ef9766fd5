"""The official conformance suite in both eras: through the gateway, not one check fewer than directly."""

import asyncio
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.conformance.era_wall import EraWall
from tests.conformance.header_proxy import HeaderProxy
from tests.conformance.one_request import OneRequestProxy
from tests.conformance.sdk_servers import SDKS, Served, served
from tests.journeys.stage import Stage, free_port, stage_in

LEGACY, MODERN = "2025-11-25", "2026-07-28"
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


@dataclass(frozen=True, kw_only=True)
class Stand:
    """How a server stands behind the gateway, and the eras of the clients; behind a wall it speaks only one era."""

    sdk: str = "python"
    over: str = "http"
    eras: tuple[str, ...] = (LEGACY, MODERN)
    wall: str | None = None


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


def expected(stand: str, version: str) -> set[suite.Check]:
    return {
        (entry["scenario"], check)
        for entry in EXPECTED["lost"]
        if version == entry["version"] and stand in entry["stands"]
        for check in entry["checks"]
    }


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    with ExitStack() as opened:
        yield {name: opened.enter_context(served(sdk, tmp_path_factory.mktemp(name))) for name, sdk in SDKS.items()}


def set_up(stage: Stage, server: Served, stand: Stand, port: int) -> str:
    """Approve the server and start the gateway; gives the token of the client `tests`."""
    origins = [f"http://{host}:{stage.port}" for host in ("localhost", "127.0.0.1")]
    stage.settings(f'headless_desk = "terminal"\nallowed_origins = {origins}\n'.replace("'", '"'))
    if stand.over == "http":
        stage.cli("server", "add", NAME, "--url", f"http://127.0.0.1:{port}/mcp")
        stage.cli("server", "approve", NAME, "--yes")
    else:
        folders = tuple(f"{folder}:ro" for folder in server.sdk.folders)
        stage.add_server(NAME, *server.sdk.command, folders=folders, env=server.sdk.env)
    rule = stage.root / "conformance.cedar"
    rule.write_text(RULE, encoding="utf-8")
    stage.cli("rule", "add", str(rule))
    token = stage.add_client()
    stage.start(*AGREEABLE, headless=True)
    return token


@asynccontextmanager
async def standing(root: Path, server: Served, stand: Stand) -> AsyncIterator[str]:
    """The server behind a gateway of its own; gives the address at which the suite finds it there."""
    with stage_in(root) as stage:
        async with AsyncExitStack() as opened:
            behind = server.port
            if stand.wall is not None:
                behind = free_port()
                await _open(opened, EraWall(behind, server.port, stand.wall))
            token = await asyncio.to_thread(set_up, stage, server, stand, behind)
            port = free_port()
            await _open(opened, HeaderProxy(port, stage.port, f"/s/{NAME}/mcp", token))
            yield f"http://127.0.0.1:{port}/mcp"


async def _open(opened: AsyncExitStack, proxy: OneRequestProxy) -> None:
    await proxy.serve()
    opened.push_async_callback(proxy.close)


@pytest.mark.screen
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", list(STANDS))
async def test_no_check_of_the_suite_is_lost(tmp_path: Path, servers: dict[str, Served], name: str) -> None:
    found, stand = {}, STANDS[name]
    server = servers[stand.sdk]
    async with standing(tmp_path, server, stand) as url:
        for version in stand.eras:
            direct = await asyncio.to_thread(server.direct, version)
            through = await asyncio.to_thread(suite.run, url, version, tmp_path / version)
            assert suite.counts(direct)["passed"] >= FEWEST_CHECKS, "the suite itself did not run"
            found[version] = suite.missing(direct, through)
    for version, lost in found.items():
        listed = expected(name, version)
        unexpected = {check: why for check, why in lost.items() if check not in listed}
        assert unexpected == {}, f"{version}, {name}"
        assert listed - lost.keys() == set(), f"{version}, {name}: these pass now; take them off the list"
