"""The hands and eyes of the journeys: xdotool and pictures on the virtual screen."""

import contextlib
import subprocess
from pathlib import Path

from tests.journeys.stage import DIALOG, REPO, until

PICTURES = REPO / ".screenshots"
SETTLED_S = 0.9


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout


def windows(title: str = DIALOG) -> list[str]:
    """The visible windows whose title is this."""
    return _run("xdotool", "search", "--onlyvisible", "--name", f"^{title.replace('?', '.')}$").split()


def wait_for_dialog(bound_s: float = 30.0) -> str:
    """The dialog's window, once it is there and active."""
    window = until(windows, bound_s, "no dialog appeared")[0]
    until(lambda: _run("xdotool", "getactivewindow").strip() == window, 10, "the dialog did not become active")
    return window


def wait_for_no_dialog(bound_s: float = 20.0) -> None:
    until(lambda: not windows(), bound_s, "the dialog stayed")


def press(window: str, key: str) -> None:
    """A key, as the keyboard sends it."""
    _run("xdotool", "windowfocus", "--sync", window)
    _run("xdotool", "key", "--clearmodifiers", key)


def click(window: str, x: int, y: int) -> None:
    """A click of the left button at a place in the window."""
    _run("xdotool", "mousemove", "--window", window, str(x), str(y), "click", "1")


def picture(name: str) -> Path:
    """The whole screen, kept for a person to look at."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    _run("scrot", "--overwrite", str(path))
    return path
