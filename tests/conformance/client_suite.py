"""The official suite's client scenarios, run against a client; their checks as one table."""

import json
import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.suite import SUITE, Check
from tests.journeys.stage import node

EXTENSION = "extension"
AT_ONCE = 2
SCENARIO_S = 60
# It measures when the client comes back, and so is run alone.
TIMED = ("sse-retry",)
ENDED = "the client ends well"


def scenarios() -> dict[str, tuple[str, ...]]:
    """Every client scenario of the suite's own list, with the versions that it is for, or `extension`."""
    done = subprocess.run([node(), str(SUITE), "list"], capture_output=True, text=True, timeout=SCENARIO_S, check=True)
    section = done.stdout.split("Client scenarios", 1)[1].split("\n\n", 1)[0]
    return {name: tuple(versions.split(",")) for name, versions in re.findall(r"- (\S+) \[(.+)\]", section)}


def run(
    command: str, version: str, names: list[str], out: Path, environment: Mapping[str, str]
) -> dict[Check, list[str]]:
    """Every check of these scenarios by its name, and whether the client ended well: what went wrong, or nothing.

    A check that the suite skipped, since the client did nothing that it could look at, is none.
    """

    def one(name: str) -> dict[Check, list[str]]:
        return _run_one(command, version, name, out, environment)

    found: dict[Check, list[str]] = {}
    for name in sorted(set(names) & set(TIMED)):
        found |= one(name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for checks in pool.map(one, sorted(set(names) - set(TIMED))):
            found |= checks
    return found


def _run_one(
    command: str, version: str, name: str, out: Path, environment: Mapping[str, str]
) -> dict[Check, list[str]]:
    # Forced, since an extension is of no version.
    arguments = ["--command", command, "--scenario", name, "--spec-version", version, "--force", "-o", str(out)]
    done = subprocess.run(
        [node(), str(SUITE), "client", *arguments],
        env={**environment, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=SCENARIO_S,
        check=False,
    )
    (file,) = out.glob(f"{name}-20*/checks.json")
    found: dict[Check, list[str]] = {}
    for check in json.loads(file.read_text()):
        if check["status"] == "SKIPPED":
            continue
        failures = found.setdefault((name, check["name"]), [])
        if check["status"] not in {"SUCCESS", "INFO"}:
            failures.append(f"{check['status']}: {check.get('errorMessage') or check.get('details')}")
    badly = re.findall(r"Client (?:exited with code|timed out after) \d+", done.stderr)
    found[name, ENDED] = [f"{badly[0]}: {(file.parent / 'stderr.txt').read_text()[-1000:]}"] if badly else []
    return found
