"""Paints the windows offscreen and saves them: `python -m tests.ui.photographer light|dark SCALE FOLDER`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ztmcp_desktop.domain.risk import Risk


def main(scheme: str, scale: str, folder: Path) -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = scale
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QApplication, QLabel, QWidget

    from tests.ui import samples
    from tests.ui.core import CoreThread, MemoryPlane, MemoryTimeline, sample_items
    from ztmcp_desktop.ui.bridge import Bridge
    from ztmcp_desktop.ui.consent_dialog import ConsentDialog
    from ztmcp_desktop.ui.main_window import MainWindow
    from ztmcp_desktop.ui.parts import row
    from ztmcp_desktop.ui.plain_view import PlainView
    from ztmcp_desktop.ui.shapes import TrayState, tray_icon
    from ztmcp_desktop.ui.theme import dress, theme_of

    folder.mkdir(exist_ok=True)
    application = QApplication.instance() or QApplication([])
    dress(application, Qt.ColorScheme.Dark if scheme == "dark" else Qt.ColorScheme.Light)
    taken: list[str] = []

    def settle() -> None:
        for _ in range(6):
            application.processEvents()

    def take(widget: QWidget, name: str) -> None:
        settle()
        file = f"{name}-{scheme}-{scale}00.png"
        image = widget.grab().toImage()
        colours = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
        if len(colours) < 3 or not image.save(str(folder / file)):
            raise SystemExit(f"{file} is empty or was not saved")
        taken.append(file)

    long_text = "\n".join(f"line {n}: the quick brown fox jumps over the lazy dog" for n in range(400))
    cases = {
        "dialog-read": samples.make_question(
            subject="read_text_file", arguments={"path": "/home/u/project/notes.md"}, risk=Risk.READ, plain=True
        ),
        "dialog-write": samples.make_question(),
        "dialog-destroy": samples.make_question(
            subject="delete_branch",
            arguments={"repository": "acme/shop", "branch": "main", "force": True, "retries": 3, "labels": []},
            risk=Risk.DESTROY,
        ),
        "dialog-long": samples.make_question(
            subject="a_tool_with_a_very_long_name_" * 12,
            client="a" * 32,
            server="b" * 32,
            arguments={"content": long_text, "nested": {"deep": [{"key with spaces": None}]}},
            risk=Risk.UNKNOWN,
        ),
        "dialog-unicode": samples.make_question(arguments={"text": samples.WORST, "\u202eyek": "true"}),
        "dialog-proposal": samples.make_proposal(),
    }
    for name, question in cases.items():
        dialog = ConsentDialog(settle_ms=0)
        dialog.add(question)
        settle()
        take(dialog, name)
        dialog.hide()
    dialog = ConsentDialog(settle_ms=0)
    for number in range(3):
        dialog.add(samples.make_question(f"q{number}"))
    settle()
    dialog.card.findChild(QWidget, "consent.claims-toggle").click()
    take(dialog, "dialog-queue-claims")
    dialog.hide()
    core = CoreThread()
    window = MainWindow(Bridge(core.loop, MemoryTimeline(sample_items()), MemoryPlane()))
    window.show()
    window.start()

    def wait(done: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not done():
            application.processEvents()
            if time.monotonic() > end:
                raise SystemExit("the window did not fill in time")

    wait(lambda: window.activity.model.rowCount() > 20)
    window.activity.view.setCurrentIndex(window.activity.model.index(2))
    wait(lambda: len(window.activity.details.findChildren(PlainView)) >= 3)
    take(window, "activity")
    for page in ("Servers", "Clients", "Secrets"):
        window.show_page(page)
        thing = {"Servers": window.servers, "Clients": window.clients, "Secrets": window.secrets}[page]
        wait(lambda thing=thing: thing.chosen is not None and thing.pane.count() > 2)
        take(window, page.lower())
    window.servers.show_form()
    window.show_page("Servers")
    window.servers.show_form()
    take(window, "servers-form")
    window.hide()
    strip = QWidget()
    strip.setLayout(row(spacing=16))
    for state in TrayState:
        for side in (22, 64):
            picture = QLabel()
            icon = tray_icon(state, 3, theme_of(application.palette()))
            picture.setPixmap(icon.pixmap(side))
            strip.layout().addWidget(picture)
    strip.show()
    take(strip, "tray")
    settle()
    core.stop()
    sys.stdout.write("\n".join(taken))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
