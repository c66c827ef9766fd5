"""What the pages of servers, clients, rules and secrets share: a list, a pane beside it, and a place for messages."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QLayout,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.parts import button, clear, column, label, primary, row

# In a narrow window the pane keeps room to be read, and the list gives way.
LIST_WIDTH, WIDE_LIST, PANE_WIDTH, NARROW = 140, 280, 260, 700
_KEY = int(Qt.ItemDataRole.UserRole)


class MessageBar(QFrame):
    """One message with a button that takes it away; nothing blocks."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = label()
        inner = row(self._text, button("Close", self.hide))
        inner.setStretch(0, 1)
        inner.setContentsMargins(12, 8, 8, 8)
        self.setLayout(inner)
        self.setAccessibleName("message")
        self.hide()

    def say(self, text: str, kind: str = "warning") -> None:
        """Show `text` as a `warning`, `danger` or `good` message."""
        for each in ("warning", "danger", "good"):
            self.setProperty(each, each == kind)
        self.style().unpolish(self)
        self.style().polish(self)
        self._text.setText(visible(text))
        self.show()

    def text(self) -> str:
        """What it says."""
        return self._text.text()


class ThingsPage(QWidget):
    """A list of named things at the left, the chosen one at the right. Subclasses fill `pane`."""

    title = ""
    empty = ""
    add_text = ""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bridge = bridge
        self.message = MessageBar()
        self.things = QListWidget()
        self.things.setObjectName("things")
        self.things.setAccessibleName(self.title)
        self.things.setWordWrap(True)
        self.things.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.things.currentItemChanged.connect(lambda _now, _before: self._chosen())
        self.pane = QVBoxLayout()
        self.pane.setContentsMargins(4, 4, 12, 12)
        self.pane.setSpacing(10)
        self._filling = False
        self.editing = False
        holder = QWidget()
        holder.setLayout(self.pane)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(holder)
        self.area.setMinimumWidth(PANE_WIDTH)
        self.things.setMinimumWidth(LIST_WIDTH)
        self._add = primary(button(self.add_text, self.show_form, name=f"{self.title.lower()}.add"))
        self.head = row(label(self.title, bold=True, factor=1.5), None, self._add)
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.addWidget(self.things)
        halves.addWidget(self.area)
        halves.setSizes([280, 640])
        halves.setStretchFactor(1, 1)
        halves.setChildrenCollapsible(False)
        halves.setHandleWidth(14)
        self._halves = halves
        self.whole = column(self.head, self.message, halves, spacing=10, margin=18)
        self.whole.setStretchFactor(halves, 1)
        self.setLayout(self.whole)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        before = event.oldSize().width()
        list_width = LIST_WIDTH if self.width() < NARROW else WIDE_LIST
        # Only where it changes between narrow and wide, so that it stays as the person has drawn it.
        if before < 0 or (before < NARROW) != (self.width() < NARROW):
            self._halves.setSizes([list_width, self.width() - list_width])

    def load(self) -> None:
        """Read the list again."""
        raise TypeError("a page says how it is loaded")

    def show_form(self) -> None:
        """Show the form for a new thing."""
        raise TypeError("a page says how something is added")

    def show_thing(self, name: str) -> None:
        """Show one thing."""
        raise TypeError("a page says how a thing is shown")

    def fill(self, lines: dict[str, str], choose: str | None = None) -> None:
        """Replace the list: name → what stands below it. The choice stays where it was."""
        wanted = choose or self.chosen
        self._filling = True
        self.things.clear()
        for name, below in lines.items():
            item = QListWidgetItem(f"{visible(name)}\n{visible(below)}")
            item.setData(_KEY, name)
            self.things.addItem(item)
            if name == wanted:
                self.things.setCurrentItem(item)
        self._filling = False
        if self.editing:
            return
        if self.things.currentItem() is None and lines and wanted is None:
            self.things.setCurrentRow(0)
        elif lines:
            self._chosen()
        if not lines:
            self.show_empty()

    @property
    def chosen(self) -> str | None:
        """The name of the chosen thing."""
        item = self.things.currentItem()
        return None if item is None else str(item.data(_KEY))

    def _chosen(self) -> None:
        name = self.chosen
        if name is not None and not self._filling:
            self.editing = False
            self.show_thing(name)

    def show_empty(self) -> None:
        """Say what to do first."""
        self.begin()
        self.pane.addWidget(label(f"No {self.title.lower()} yet", bold=True, factor=1.2))
        self.pane.addWidget(label(self.empty, muted=True))
        self.put(row(button(self.add_text, self.show_form, name=f"{self.title.lower()}.add-first"), None))
        self.pane.addStretch(1)

    def edit(self) -> None:
        """Empty the pane for a form or a decision, which no reading of the list replaces until `leave`."""
        self.begin()
        self.editing = True

    def leave(self) -> None:
        """The form or decision is over: show the list's choice again."""
        self.editing = False
        self.load()

    def begin(self) -> None:
        """Empty the pane."""
        clear(self.pane)
        self.area.verticalScrollBar().setValue(0)

    def put(self, *parts: QWidget | QLayout | None) -> None:
        """Put parts below each other into the pane; None stretches."""
        for part in parts:
            if part is None:
                self.pane.addStretch(1)
            elif isinstance(part, QWidget):
                self.pane.addWidget(part)
            else:
                self.pane.addLayout(part)

    def ask(self, verb: str, arguments: JsonObject, done: Callable[[JsonObject], None]) -> None:
        """Ask the core; a failure is shown as a message."""
        self.bridge.ask(verb, arguments, done, lambda why: self.message.say(why, "danger"))

    def change(self, verb: str, arguments: JsonObject, said: str = "") -> None:
        """Ask for a change, then read the list again."""

        def done(_result: JsonObject) -> None:
            if said:
                self.message.say(said, "good")
            self.leave()

        self.ask(verb, arguments, done)
