import subprocess
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QProcess
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from tests.ui.samples import make_question
from ztmcp_desktop.domain.consent import Answer, DeskEvent, Hidden, Shown, Verdict
from ztmcp_desktop.ui.application import make_application
from ztmcp_desktop.ui.consent_dialog import CALL_TITLE, ConsentDialog

pytestmark = pytest.mark.screen


class OnScreen:
    """The dialog on a real X server with a window manager, and xdotool as the person."""

    def __init__(self, qtbot: QtBot) -> None:
        make_application()
        self.bot = qtbot
        self.events: list[tuple[str, DeskEvent]] = []
        self.dialog = ConsentDialog(notice_ms=50)
        self.dialog.event_of.connect(lambda name, event: self.events.append((name, event)))

    def answers(self) -> list[tuple[str, Verdict]]:
        return [(name, event.verdict) for name, event in self.events if isinstance(event, Answer)]

    def xdotool(self, *arguments: str) -> str:
        # Not waited for in this thread: Qt has to go on answering the X server.
        process = QProcess()
        with self.bot.waitSignal(process.finished, timeout=20_000):
            process.start("xdotool", list(arguments))
        assert process.exitCode() == 0, bytes(process.readAllStandardError().data()).decode()
        return bytes(process.readAllStandardOutput().data()).decode()

    def ready(self) -> None:
        self.bot.waitUntil(self.dialog.allow.isEnabled, timeout=10_000)


@pytest.fixture
def on_screen(qtbot: QtBot) -> Iterator[OnScreen]:
    made = OnScreen(qtbot)
    yield made
    made.dialog.hide()
    made.dialog.deleteLater()


def test_a_real_window_manager_shows_the_dialog_and_alt_a_allows(on_screen: OnScreen) -> None:
    on_screen.dialog.add(make_question())
    on_screen.ready()
    assert on_screen.xdotool("search", "--onlyvisible", "--name", CALL_TITLE).strip() != ""
    on_screen.xdotool("key", "--clearmodifiers", "alt+a")
    on_screen.bot.waitUntil(lambda: on_screen.answers() == [("q1", Verdict.ALLOW)], timeout=5000)


def test_the_mouse_allows_and_return_does_not(on_screen: OnScreen) -> None:
    on_screen.dialog.add(make_question())
    on_screen.ready()
    on_screen.xdotool("key", "Return", "key", "KP_Enter")
    assert on_screen.answers() == []
    middle = on_screen.dialog.allow.mapToGlobal(on_screen.dialog.allow.rect().center())
    on_screen.xdotool("mousemove", str(middle.x()), str(middle.y()), "click", "1")
    on_screen.bot.waitUntil(lambda: on_screen.answers() == [("q1", Verdict.ALLOW)], timeout=5000)


@pytest.mark.attack("C3")
def test_somebody_who_types_into_another_window_decides_nothing_when_the_dialog_appears(on_screen: OnScreen) -> None:
    editor = QLineEdit()
    editor.setWindowTitle("an editor")
    on_screen.bot.addWidget(editor)
    editor.show()
    editor.activateWindow()
    on_screen.bot.waitUntil(editor.hasFocus, timeout=10_000)
    with subprocess.Popen(["xdotool", "type", "--delay", "15", "a a a a a a a a a a\na a a a\n"]) as typing:
        on_screen.bot.waitUntil(lambda: len(editor.text()) > 2, timeout=5000)
        on_screen.dialog.add(make_question())
        on_screen.bot.waitUntil(lambda: typing.poll() is not None, timeout=10_000)
    assert on_screen.answers() == []
    assert on_screen.dialog.current == make_question()


@pytest.mark.attack("C8")
def test_a_minimised_dialog_holds_its_patience(on_screen: OnScreen) -> None:
    on_screen.dialog.add(make_question())
    on_screen.ready()
    on_screen.dialog.showMinimized()
    on_screen.bot.waitUntil(lambda: on_screen.events == [("q1", Shown()), ("q1", Hidden())], timeout=10_000)
