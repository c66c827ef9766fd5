"""Pictures of the window for people to look at; each is checked not to be empty."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / ".screenshots"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scale", ["1", "2"])
def test_each_picture_is_painted_in_light_and_dark_at_100_and_200_percent(scheme: str, scale: str) -> None:
    # The scale can be set only before the application is made, so that each has a process of its own.
    done = subprocess.run(
        [sys.executable, "-m", "tests.ui.photographer", scheme, scale, str(PICTURES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert len(names) >= 9
    for name in names:
        assert (PICTURES / name).stat().st_size > 1000
