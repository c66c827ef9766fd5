"""Starts ztmcp as it is, but SIGUSR1 makes the window's thread stand still for some seconds."""

import signal
import sys
import time
from types import FrameType

from PySide6.QtCore import QTimer

from ztmcp_desktop.__main__ import main

FROZEN_S = 8.0


def freeze(number: int, frame: FrameType | None) -> None:
    """Stand still at the next turn of Qt's loop, in Qt's thread."""
    QTimer.singleShot(0, lambda: time.sleep(FROZEN_S))


signal.signal(signal.SIGUSR1, freeze)
sys.exit(main())
