"""The shell functions that `packaging/run` and `packaging/test` share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"


def keychain_answers(tmp_path: Path, **variables: str) -> bool:
    script = '. "$0/environment.sh"; venv=$1; cd "$0/.."; keychain_answers'
    environment = {**os.environ, "ZTMCP_HOME": str(tmp_path / "home"), **variables}
    ended = subprocess.run(
        ["bash", "-c", script, str(PACKAGING), sys.prefix],
        env=environment,
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert ended.stderr == b""
    return ended.returncode == 0


def test_without_a_session_no_keychain_answers(tmp_path: Path) -> None:
    assert not keychain_answers(tmp_path, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")


@pytest.mark.screen
def test_a_keychain_of_the_session_answers(tmp_path: Path) -> None:
    assert keychain_answers(tmp_path)
    assert not (tmp_path / "home").exists()
