"""The demo as a newcomer meets it: nobody at the terminal, only refusals, and an early end."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.screen, pytest.mark.timeout(120)]
DEMO = [sys.executable, "-m", "ztmcp_desktop", "demo"]
QUESTION = b"Allow? [y/N]"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    return {**kept, "TMPDIR": str(tmp_path), "QT_QPA_PLATFORM": ""}


@pytest.mark.parametrize("typed", ["", "n\n" * 20])
def test_the_changed_description_is_shown_whatever_is_answered(environment: dict[str, str], typed: str) -> None:
    ended = subprocess.run(DEMO, env=environment, input=typed, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "ask again, after the tool's description changed  (changed-since-approval)" in ended.stdout
    assert "the gateway stopped" not in ended.stderr
    assert ("nobody can be asked" in ended.stderr) == (typed == "")


@contextmanager
def terminal(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The demo at its first question: its process and the terminal that it runs in."""
    process, master = pty.fork()
    if process == 0:
        os.execve(sys.executable, DEMO, environment)
    said = b""
    while QUESTION not in said:
        said += os.read(master, 4096)
    yield process, master
    os.close(master)


def rest_of(master: int) -> str:
    said = b""
    while True:
        try:
            read = os.read(master, 4096)
        except OSError:  # the last process has left the terminal
            return said.decode()
        if not read:
            return said.decode()
        said += read


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_a_question_ends_all_of_it_with_one_line(
    environment: dict[str, str], number: signal.Signals, tmp_path: Path
) -> None:
    with terminal(environment) as (process, master):
        if number is signal.SIGINT:
            os.write(master, b"\x03")
        else:
            os.kill(process, number)
        said = rest_of(master)
        began_s = time.monotonic()
        _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + number
    assert time.monotonic() - began_s < 5
    lines = [line for line in said.replace("^C", "").splitlines() if line.strip()]
    assert [line for line in lines if "demo was ended" in line] == lines[-1:], said
    assert "Traceback" not in said
    assert "Fatal" not in said
    assert list(tmp_path.iterdir()) == []
