"""Paints the windows offscreen and saves them: `python -m tests.ui.photographer light|dark SCALE FOLDER`."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from tests.ui.core import EDITED, RULES, CoreThread, MemoryPlane, MemoryTimeline, sample_items
from tests.ui.samples import CALLER, WORST, make_login, make_offer, make_proposal, make_question
from ztmcp_desktop.control.resources import help_texts
from ztmcp_desktop.domain.consent import Proposal, Question, Scope
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.consent_dialog import ConsentDialog
from ztmcp_desktop.ui.main_window import MainWindow
from ztmcp_desktop.ui.parts import row
from ztmcp_desktop.ui.plain_view import PlainView
from ztmcp_desktop.ui.rule_form import EXAMPLE, RuleForm
from ztmcp_desktop.ui.shapes import TrayState, tray_icon
from ztmcp_desktop.ui.theme import dress, theme_of

FEWEST_COLOURS = 3
PATIENCE_S = 10
STRANGER = (
    "Another program than before uses the token of claude-code: /usr/bin/node /usr/lib/claude/cli.js. "
    "Before it was /opt/cursor/cursor"
)
SCREEN = {"name": "s", "x": 0, "y": 0, "width": 1600, "height": 1000}
SCREEN |= {"logicalDpi": 96, "logicalBaseDpi": 96, "dpr": 1}


def questions() -> dict[str, Question | Proposal]:
    """What the dialog is photographed with."""
    long_text = "\n".join(f"line {n}: the quick brown fox jumps over the lazy dog" for n in range(400))
    branch = {"repository": "acme/shop", "branch": "main", "force": True, "retries": 3, "labels": []}
    notes = {"path": "/home/u/project/notes.md"}
    return {
        "dialog-read": make_question(subject="read_text_file", arguments=notes, risk=Risk.READ, plain=True),
        "dialog-write": make_question(),
        "dialog-destroy": make_question(subject="delete_branch", arguments=branch, risk=Risk.DESTROY),
        "dialog-long": make_question(
            subject="a_tool_with_a_very_long_name_" * 12,
            client="a" * 32,
            server="b" * 32,
            arguments={"content": long_text, "nested": {"deep": [{"key with spaces": None}]}},
            risk=Risk.UNKNOWN,
        ),
        "dialog-unicode": make_question(arguments={"text": WORST, "\u202eyek": "true"}),
        "dialog-stranger": replace(
            make_question(),
            caller=replace(CALLER, via="ztmcp bridge (process 4313)"),
            claimed="claude-desktop 1.4",
            warnings=(STRANGER,),
            scopes=(Scope.ONCE,),
        ),
        "dialog-proposal": make_proposal(),
        "dialog-offer": make_offer(),
        "dialog-login": make_login(),
    }


class Photographer:
    """One application, in one scheme and scale."""

    def __init__(self, scheme: str, scale: str, folder: Path) -> None:
        self._folder = folder
        self._ending = f"{scheme}-{scale}00.png"
        self._application = QApplication([])
        dress(self._application, Qt.ColorScheme.Dark if scheme == "dark" else Qt.ColorScheme.Light)
        self.taken: list[str] = []

    def wait(self, met: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not met():
            self._application.processEvents()
            if time.monotonic() > end:
                raise SystemExit("the window did not fill in time")

    def take(self, widget: QWidget, name: str) -> None:
        for _ in range(6):
            self._application.processEvents()
        image = widget.grab().toImage()
        seen = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
        file = f"{name}-{self._ending}"
        if len(seen) < FEWEST_COLOURS or not image.save(str(self._folder / file)):
            raise SystemExit(f"{file} is empty or was not saved")
        self.taken.append(file)

    def dialogs(self) -> None:
        dialog = ConsentDialog(settle_ms=0)
        for name, question in questions().items():
            dialog.add(question)
            self.wait(lambda: dialog.card.arguments.hidden_lines < dialog.card.arguments.line_count)
            self.take(dialog, name)
            dialog.close()
        for number in range(3):
            dialog.add(make_question(f"q{number}"))
        toggle = dialog.findChild(QPushButton, "consent.claims-toggle")
        toggle.click()
        self.take(dialog, "dialog-queue-claims")
        dialog.remove("q0", "the client gave up")
        self.take(dialog, "dialog-withdrawn")
        dialog.hide()

    def window(self) -> None:
        core = CoreThread()
        plane = MemoryPlane()
        window = MainWindow(Bridge(core.loop, MemoryTimeline(sample_items()), plane), help_texts())
        window.show()
        window.start()
        activity = window.activity
        self.wait(lambda: activity.model.rowCount() > 20)
        activity.view.setCurrentIndex(activity.model.index(2))
        self.wait(lambda: len(activity.details.findChildren(PlainView)) >= 3)
        self.take(window, "activity")
        things = (window.servers, window.clients, window.rules, window.secrets)
        for name, page in ((page.title, page) for page in things):
            window.show_page(name)
            self.wait(lambda page=page: page.chosen is not None and page.pane.count() > 2)
            self.take(window, name.lower())
        window.show_page("Servers")
        window.servers.show_form()
        self.take(window, "servers-form")
        self.rules(window, plane)
        self.settings(window, plane)
        self.help(window)
        window.hide()
        core.stop()

    def rules(self, window: MainWindow, plane: MemoryPlane) -> None:
        window.show_page("Rules")
        window.rules.show_form()
        form = window.rules.findChild(RuleForm)
        form.text.setPlainText(EXAMPLE)
        form.show_problems([{"file": "mine.cedar", "line": 3, "message": "there is no action fly " * 9}])
        self.take(window, "rules-form")
        plane.answers["rule.list"] = {"rules": RULES[:1], "changed_outside": ["tests.cedar", "a" * 64]}
        window.rules.leave()
        self.wait(lambda: bool(window.rules.outside.text()))
        self.take(window, "rules-first")
        plane.answers["edited"] = {"changed": EDITED}
        window.rules._look()
        self.wait(lambda: window.rules.findChild(QPushButton, "outside.use") is not None)
        self.take(window, "rules-edited")

    def settings(self, window: MainWindow, plane: MemoryPlane) -> None:
        page = window.settings
        window.show_page("Settings")
        self.wait(lambda: page.port.text() == "7420")
        self.take(window, "settings")
        page.port.setText("7500")
        page._save()
        self.wait(lambda: "next start" in page.message.text())
        self.take(window, "settings-saved")

    def help(self, window: MainWindow) -> None:
        window.show_page("Help")
        for number in (0, 3, 4, 9, 10):
            window.help.pages.setCurrentRow(number)
            self.take(window, f"help-{number + 1}")
        window.help.search.setText("keychain")
        self.take(window, "help-search")

    def tray(self) -> None:
        strip = QWidget()
        line = row(spacing=16)
        strip.setLayout(line)
        for state in TrayState:
            for side in (22, 64):
                picture = QLabel()
                picture.setPixmap(tray_icon(state, 3, theme_of(self._application.palette())).pixmap(side))
                line.addWidget(picture)
        strip.show()
        self.take(strip, "tray")


def main(scheme: str, scale: str, folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    config = folder / f"screen-{scheme}-{scale}.json"
    config.write_text(json.dumps({"screens": [SCREEN]}))
    os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={config}"
    os.environ["QT_SCALE_FACTOR"] = scale
    photographer = Photographer(scheme, scale, folder)
    photographer.dialogs()
    photographer.window()
    photographer.tray()
    config.unlink()
    sys.stdout.write("\n".join(photographer.taken))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
