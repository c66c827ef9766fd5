"""What was edited outside the window: said in a bar, shown in full, and used only as it was shown."""

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QWidget

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.facts_box import facts_box, rows_of
from ztmcp_desktop.ui.parts import button, column, label, primary, row
from ztmcp_desktop.ui.reading import read_first, views_in

_MEANING = (
    "Once you use them, these files decide what may be done. If you did not make these edits, do not use them: "
    "put the files back as they were."
)
_NOTHING = "Nothing differs any more: the files are as ztmcp knows them."


class OutsideBar(QFrame):
    """Says that files were edited, with a button that looks at the edits; hidden while there are none."""

    def __init__(self, look: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("warning", True)  # noqa: FBT003 - a Qt property
        self.setAccessibleName("files edited outside ztmcp")
        self._text = label()
        inner = row(self._text, primary(button("Look …", look, name="outside.look")))
        inner.setStretch(0, 1)
        inner.setContentsMargins(12, 8, 8, 8)
        self.setLayout(inner)
        self.hide()

    def say(self, text: str) -> None:
        """Show `text`; an empty one hides the bar."""
        self._text.setText(visible(text))
        self.setVisible(bool(text))

    def text(self) -> str:
        """What it says."""
        return self._text.text()


def review(result: JsonObject, width: int, use: Callable[[JsonObject], object], back: Callable[[], object]) -> QWidget:
    """The answer of `edited`, nothing cut. Once all of it was painted, `use` gets the arguments of `reload`."""
    changed = list(result.get("changed") or [])
    made = QWidget()
    whole = column(label("Edited outside ztmcp", bold=True, factor=1.2), spacing=10)
    made.setLayout(whole)
    whole.addWidget(label(_MEANING if changed else _NOTHING, muted=True))
    for what, how in changed:
        whole.addWidget(facts_box(visible(str(what)), rows_of([("", str(how).rstrip("\n"))]), width, "warning"))
    if not changed:
        whole.addLayout(row(button("Back", back), None))
        return made
    use_it = ("Use exactly this", "outside.use", lambda: use({"seen": changed}))
    whole.addLayout(read_first(use_it, ("outside.back", back), views_in([made])))
    return made
