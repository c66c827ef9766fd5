"""Starts ztmcp as it is, but writes down when its windows were painted: painted.py FILE [ARGUMENT…]

A line each time a window shows something new: the moment of the monotonic clock, the class of the window, and the text
of the question that is on it. The moment is that of the turn of Qt's loop after the painting, so that all of it is done
and on its way to the screen: a little late rather than early. Everything is imported when and where ztmcp does it.
"""

import json
import runpy
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QWidget

APPLICATION = "ztmcp_desktop.ui.application"


class Watcher(MetaPathFinder):
    """Has the windows watched as soon as the module that makes them is imported."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != APPLICATION:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Loader) -> None:
        execute = loader.exec_module

        def execute_and_watch(module: ModuleType) -> None:
            execute(module)
            watch(module.MainWindow, self._file)
            watch(module.ConsentDialog, self._file)

        loader.exec_module = execute_and_watch  # type: ignore[method-assign]


def watch(kind: "type[QWidget]", file: TextIO) -> None:
    """Note the paintings of all windows of a kind that is made later."""
    from PySide6.QtCore import QTimer

    paint, noted = kind.paintEvent, set[str]()

    def note(text: str) -> None:
        file.write(json.dumps([time.monotonic(), kind.__name__, text]) + "\n")
        file.flush()

    def paint_and_note(window: "QWidget", event: "QPaintEvent") -> None:
        paint(window, event)
        shown = getattr(window, "current", None)
        text = json.dumps(getattr(shown, "params", ""))
        if text not in noted:
            noted.add(text)
            QTimer.singleShot(0, lambda: note(text))

    kind.paintEvent = paint_and_note  # type: ignore[method-assign]


if __name__ == "__main__":
    with Path(sys.argv.pop(1)).open("a") as notes:
        sys.meta_path.insert(0, Watcher(notes))
        runpy.run_module("ztmcp_desktop", run_name="__main__", alter_sys=True)
