import subprocess
import sys
from pathlib import Path

import pytest

from ztmcp_desktop.control.ownership import Ownership
from ztmcp_desktop.settings import Home

HOLD = """
import os, sys
from ztmcp_desktop.control.ownership import Ownership
from ztmcp_desktop.settings import find_home
print(Ownership(find_home()).take() and "held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("ZTMCP_HOME", str(tmp_path))
    (tmp_path / "run").mkdir(mode=0o700)
    from ztmcp_desktop.settings import find_home

    return find_home()


def test_a_home_that_another_process_owns_is_not_given(home: Home) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    ownership = Ownership(home)
    assert not ownership.take()
    other.kill()
    other.communicate(timeout=10)
    assert ownership.take()
    ownership.release()


@pytest.mark.attack("N11")
def test_a_link_in_the_place_of_the_lock_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    home.lock_file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Ownership(home).take()


def test_what_is_released_can_be_taken_again(home: Home) -> None:
    first, second = Ownership(home), Ownership(home)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
