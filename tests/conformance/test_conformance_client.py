"""The official suite's client scenarios: with the gateway between, not one check fewer than without it."""

import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import client, client_suite
from tests.conformance.suite import Check, counts, missing
from tests.journeys.stage import Stage, stage_in

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
VERSIONS = ("2025-11-25", client.MODERN)
LOST = tomllib.loads(Path(__file__).with_name("expected.toml").read_text(encoding="utf-8"))["lost_client"]
# They need the gateway to be an OAuth client of its upstreams, which it is not yet.
LATER = "auth/"
FEWEST_CHECKS = {"2025-11-25": 30, client.MODERN: 75}
FOLDER = Path(__file__).parent
DIRECT, THROUGH = (f"{sys.executable} {FOLDER / program}" for program in ("client.py", "behind_gateway.py"))
RULE = """permit (
  principal,
  action in [Action::"call_without_asking", Action::"read_without_asking", Action::"other_without_asking",
    Action::"ask_person"],
  resource
);
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("clients")) as stage:
        rule = stage.root / "conformance.cedar"
        rule.write_text(RULE, encoding="utf-8")
        stage.cli("rule", "add", str(rule))
        stage.start(headless=True)
        yield stage
        stage.stop()
        stage.verify()


@pytest.fixture(scope="module")
def scenarios() -> dict[str, tuple[str, ...]]:
    listed = client_suite.scenarios()
    return {name: versions for name, versions in listed.items() if not name.startswith(LATER)}


def expected(version: str) -> set[Check]:
    return {(entry["scenario"], check) for entry in LOST if entry["version"] == version for check in entry["checks"]}


def test_the_client_knows_every_scenario_of_the_suite(scenarios: dict[str, tuple[str, ...]]) -> None:
    assert client.SCENARIOS.keys() == scenarios.keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_no_check_of_the_suite_is_lost(
    gateway: Stage, scenarios: dict[str, tuple[str, ...]], version: str, tmp_path: Path
) -> None:
    asked = {version, client_suite.EXTENSION} if version == client.MODERN else {version}
    names = [name for name, versions in scenarios.items() if asked & set(versions)]
    direct = client_suite.run(DIRECT, version, names, tmp_path / "direct", os.environ)
    through = client_suite.run(THROUGH, version, names, tmp_path / "through", gateway.environment)
    passed = {scenario for (scenario, _), failures in direct.items() if not failures}
    assert passed == set(names), "a scenario did not run"
    assert counts(direct)["passed"] >= FEWEST_CHECKS[version], "the suite itself did not run"
    lost, listed = missing(direct, through), expected(version)
    assert {check: why for check, why in lost.items() if check not in listed} == {}
    assert listed - lost.keys() == set(), "these pass now; take them off the list"
