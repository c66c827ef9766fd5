"""A signal ends the window from Qt's loop, whatever runs and whatever is shown."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.ui.core import CoreThread, MemoryPlane, MemoryTimeline
from ztmcp_desktop.settings import Settings
from ztmcp_desktop.ui.application import Window, WindowParts, make_application, run_window
from ztmcp_desktop.ui.desk import QtDesk
from ztmcp_desktop.ui.end_signals import EndSignals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signals' handlers are as they were, and pytest's own Ctrl+C with them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    hook = sys.excepthook
    yield
    sys.excepthook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


class Stubborn(QWidget):
    """A window that goes nowhere when it is closed, as ours do."""

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        event.ignore()


def test_a_signal_in_the_middle_of_a_slot_is_heard_after_it(qtbot: QtBot) -> None:
    order: list[str] = []
    listening = EndSignals(lambda: order.append("leave"))

    def slot() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        order.append("the slot goes on")

    QTimer.singleShot(0, slot)
    qtbot.waitUntil(lambda: "leave" in order, timeout=5000)
    assert order == ["the slot goes on", "leave"]
    listening.close()


def test_another_signal_ends_nothing(qtbot: QtBot) -> None:
    left: list[str] = []
    heard: list[int] = []
    listening = EndSignals(lambda: left.append("leave"))
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: heard.append(number))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        qtbot.waitUntil(lambda: heard != [], timeout=5000)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert left == []
    listening.close()


def test_a_window_that_refuses_to_close_does_not_keep_the_process(qtbot: QtBot) -> None:
    make_application()
    core = CoreThread()
    stubborn = Stubborn()
    parts = WindowParts(
        loop=core.loop,
        desk=QtDesk(core.loop),
        timeline=MemoryTimeline(()),
        plane=MemoryPlane(),
        settings=Settings(),
        help_texts={},
        on_quit=stubborn.show,
    )
    made: list[EndSignals] = []

    def begin(window: Window) -> None:
        made.append(EndSignals(window.leave, window))
        os.kill(os.getpid(), signal.SIGTERM)

    assert run_window(parts, begin) == 0
    assert stubborn.isVisible()
    stubborn.hide()
    made[0].close()
    core.stop()
