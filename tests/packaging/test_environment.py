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


class Apart:
    """The function `apart` with a Python whose environments have a pip that only writes down what it was asked for."""

    def __init__(self, root: Path) -> None:
        self.folder, self.log = root / "apart", root / "log"
        self.log.touch()
        self._python = root / "python"
        self._python.write_text(
            f"""#!/bin/sh
            mkdir -p "$4/bin"
            printf '#!/bin/sh\\necho "$@" >> {self.log}\\ntest "$3" != absent\\n' > "$4/bin/pip"
            chmod +x "$4/bin/pip"
            """
        )
        self._python.chmod(0o755)

    def run(self, *packages: str) -> str:
        script = '. "$0/environment.sh"; apart_python=$1; shift; ( apart "$@" ) || say "it stays away"; say "and on"'
        command = ["bash", "-c", script, str(PACKAGING), str(self._python), str(self.folder), *packages]
        ended = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
        return ended.stderr


def test_what_is_apart_is_installed_once_and_anew_when_it_changes(tmp_path: Path) -> None:
    apart = Apart(tmp_path)
    for packages in (["one==1"], ["one==1"], ["one==2", "mcp<2"]):
        apart.run(*packages)
    assert apart.log.read_text().splitlines() == ["install -q one==1", "install -q one==2 mcp<2"]


def test_what_cannot_be_installed_is_said_tried_again_and_stops_nothing_else(tmp_path: Path) -> None:
    apart = Apart(tmp_path)
    for _ in range(2):
        said = apart.run("absent").splitlines()
        assert said == ["· apart", "apart failed", "it stays away", "and on"]
    assert len(apart.log.read_text().splitlines()) == 2
    assert not (apart.folder / "installed").exists()
