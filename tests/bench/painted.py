"""Starts ztmcp as it is, but writes down when its windows were painted: painted.py FILE [ARGUMENT…]

A line each time a window shows something new: the moment of the monotonic clock, the class of the window, and the text
of the question that is on it. The moment is that of the turn of Qt's loop after the painting, so that all of it is done
and on its way to the screen: a little late rather than early.
"""

import json
import sys
import time
from pathlib import Path
from typing import TextIO

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QWidget

from ztmcp_desktop.__main__ import main
from ztmcp_desktop.domain.consent import Question
from ztmcp_desktop.ui.consent_dialog import ConsentDialog
from ztmcp_desktop.ui.main_window import MainWindow


def text_on(window: QWidget) -> str:
    """What the question on a dialog would send."""
    shown = window.current if isinstance(window, ConsentDialog) else None
    return json.dumps(shown.params) if isinstance(shown, Question) else ""


def watch(kind: type[QWidget], file: TextIO) -> None:
    """Note the paintings of all windows of a kind that is made later."""
    paint, noted = kind.paintEvent, set[str]()

    def note(text: str) -> None:
        file.write(json.dumps([time.monotonic(), kind.__name__, text]) + "\n")
        file.flush()

    def paint_and_note(window: QWidget, event: QPaintEvent) -> None:
        paint(window, event)
        text = text_on(window)
        if text not in noted:
            noted.add(text)
            QTimer.singleShot(0, lambda: note(text))

    kind.paintEvent = paint_and_note  # type: ignore[method-assign]


if __name__ == "__main__":
    with Path(sys.argv.pop(1)).open("a") as notes:
        watch(MainWindow, notes)
        watch(ConsentDialog, notes)
        sys.exit(main())
