"""The README's promises and the attacks that must be covered, each held against the tests that carry its id."""

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
NETWORK, METADATA = {"N1", "N2", "N3", "N4", "N5", "N8", "N9", "N10", "N11"}, {"T2", "T4", "T6"}
OUTBOUND = {f"O{number}" for number in range(1, 9)}
ATTACKS = NETWORK | METADATA | OUTBOUND | {"C1", "C3", "C12", "P1", "P3", "P10", "P14"}


def carried(mark: str) -> set[str]:
    """Every id that some test carries with this mark."""
    found: set[str] = set()
    for path in (REPO / "tests").rglob("test_*.py"):
        for ids in re.findall(rf"mark\.{mark}\(([^)]*)\)", path.read_text(encoding="utf-8")):
            found |= set(re.findall(r'"([A-Z]+\d+)"', ids))
    return found


def test_each_attack_that_must_be_covered_has_a_test_that_carries_its_id() -> None:
    assert ATTACKS - carried("attack") == set()


def test_each_promise_of_the_readme_has_a_test_and_each_promised_test_a_sentence() -> None:
    promised = set(re.findall(r"^\| (R\d+) \|", (REPO / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert promised
    assert carried("promise") == promised
