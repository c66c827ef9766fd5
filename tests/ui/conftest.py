"""The window's tests: without a display they run on Qt's offscreen platform."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytestqt.qtbot import QtBot

if TYPE_CHECKING:
    from tests.ui.running import Running

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def running(qtbot: QtBot) -> Iterator["Running"]:
    """The whole window, started."""
    # Qt is loaded only now that its platform is chosen.
    from tests.ui.running import Running

    made = Running(qtbot)
    before = sys.excepthook
    yield made
    sys.excepthook = before
    made.stop()
