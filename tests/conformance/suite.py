"""The official conformance suite, run against a server; its checks as one table."""

import json
import os
import socket
import subprocess
from collections import Counter
from pathlib import Path

from tests.journeys.stage import MODULES, node

SUITE = MODULES / "conformance" / "dist" / "index.js"
RUN_S = 100
# What an optional part of the specification was not offered is no failure.
_PASSED = {"SUCCESS", "INFO", "SKIPPED"}

Check = tuple[str, str]
"""Scenario and check."""


def run(url: str, version: str, out: Path) -> dict[Check, list[str]]:
    """Every check of the server scenarios of `version`: what went wrong each time that it failed, or nothing."""
    subprocess.run(
        [node(), str(SUITE), "server", "--url", url, "--suite", "all", "--spec-version", version, "-o", str(out)],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        timeout=RUN_S,
        check=False,
    )
    found: dict[Check, list[str]] = {}
    for file in sorted(out.glob("*/checks.json")):
        # A folder's name is "server-", the scenario, and the time.
        scenario = file.parent.name.removeprefix("server-")[: -len("-2026-01-01T00-00-00-000Z")]
        for check in json.loads(file.read_text()):
            failures = found.setdefault((scenario, check["id"]), [])
            if check["status"] not in _PASSED:
                failures.append(f"{check['status']}: {check.get('errorMessage') or check.get('details')}")
    return found


def listens(port: int) -> bool:
    """Whether a server can be connected to."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def missing(direct: dict[Check, list[str]], through: dict[Check, list[str]]) -> dict[Check, str]:
    """The checks that pass directly, and fail or do not happen through the gateway, with the reason."""
    lost = {}
    for check, failures in direct.items():
        if not failures and (check not in through or through[check]):
            lost[check] = "; ".join(through.get(check, ["it did not happen"]))
    return lost


def counts(checks: dict[Check, list[str]]) -> Counter[str]:
    """How many checks passed and failed."""
    return Counter("failed" if failures else "passed" for failures in checks.values())
