"""Paints the windows offscreen and saves them: `python -m tests.ui.photographer light|dark SCALE FOLDER`."""

import os
import sys
from pathlib import Path

from ztmcp_desktop.domain.risk import Risk


def main(scheme: str, scale: str, folder: Path) -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = scale
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QApplication, QWidget

    from tests.ui import samples
    from ztmcp_desktop.ui.consent_dialog import ConsentDialog
    from ztmcp_desktop.ui.theme import dress

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
    sys.stdout.write("\n".join(taken))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
