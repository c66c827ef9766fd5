"""The official suite's client scenarios: with the gateway between, not one check fewer than without it."""

import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import client, client_suite
from tests.conformance.browser import watching
from tests.conformance.sdk_login import DOCUMENT
from tests.conformance.suite import Check, counts, missing
from tests.journeys.stage import Stage, stage_in

pytestmark = [pytest.mark.screen, pytest.mark.timeout(600)]
LOST = tomllib.loads(Path(__file__).with_name("expected.toml").read_text(encoding="utf-8"))["lost_client"]
LOGIN = "auth/"
# By version, and whether the scenarios are about logging in.
FEWEST_CHECKS = {
    ("2025-03-26", True): 15,
    ("2025-11-25", False): 30,
    ("2025-11-25", True): 240,
    (client.MODERN, False): 75,
    (client.MODERN, True): 450,
}
FOLDER = Path(__file__).parent
DIRECT, THROUGH = (f"{sys.executable} {FOLDER / program}" for program in ("client.py", "behind_gateway.py"))
# The person at the terminal says yes to each login that a call needs.
AGREEABLE = ("bash", "-c", 'exec "$0" -m ztmcp_desktop "$@" < <(yes y)', sys.executable)
SETTINGS = f'headless_desk = "terminal"\nclient_metadata_url = "{DOCUMENT}"\n'
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
        stage.settings(SETTINGS)
        stage.start(*AGREEABLE, headless=True)
        with watching(stage.root / "ztmcp.log"):
            yield stage
        stage.stop()
        stage.verify()


@pytest.fixture(scope="module")
def scenarios() -> dict[str, tuple[str, ...]]:
    return client_suite.scenarios()


def expected(version: str) -> set[Check]:
    return {(entry["scenario"], check) for entry in LOST if entry["version"] == version for check in entry["checks"]}


def test_the_client_knows_every_scenario_of_the_suite(scenarios: dict[str, tuple[str, ...]]) -> None:
    assert client.SCENARIOS.keys() == {name for name in scenarios if not name.startswith(LOGIN)}


@pytest.mark.attack("O6", "O8")
@pytest.mark.parametrize(("version", "login"), FEWEST_CHECKS)
def test_no_check_of_the_suite_is_lost(
    gateway: Stage, scenarios: dict[str, tuple[str, ...]], version: str, login: bool, tmp_path: Path
) -> None:
    asked = {version, client_suite.EXTENSION} if version == client.MODERN else {version}
    names = [n for n, versions in scenarios.items() if asked & set(versions) and n.startswith(LOGIN) is login]
    direct = client_suite.run(DIRECT, version, names, tmp_path / "direct", os.environ)
    through = client_suite.run(THROUGH, version, names, tmp_path / "through", gateway.environment)
    passed = {scenario for (scenario, _), failures in direct.items() if not failures}
    assert passed == set(names), "a scenario did not run"
    assert counts(direct)["passed"] >= FEWEST_CHECKS[version, login], "the suite itself did not run"
    lost = missing(direct, through)
    listed = {check for check in expected(version) if check[0].startswith(LOGIN) is login}
    assert {check: why for check, why in lost.items() if check not in listed} == {}
    assert listed - lost.keys() == set(), "these pass now; take them off the list"
