"""Search and filters of the timeline, as chips that can be taken away again."""

from collections.abc import Callable
from datetime import timedelta

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLineEdit, QMenu, QPushButton, QWidget

from ztmcp_desktop.domain.ledger import Filters, Outcome
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.ui.parts import button, column, row
from ztmcp_desktop.ui.timeline_words import now

TYPING_MS = 150
MAX_SEARCH = 200
_TIMES = {"Last hour": 1, "Last 24 hours": 24, "Last 7 days": 24 * 7, "Last 30 days": 24 * 30}
_VERDICTS = {Outcome.ALLOWED.value: "allowed", Outcome.DENIED.value: "refused", Outcome.FAILED.value: "failed"}
CHIP_WIDTH = 48


class FilterBar(QWidget):
    """Emits `changed(Filters)`; while somebody types, a moment later."""

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = QLineEdit()
        self.search.setObjectName("main.search")
        self.search.setAccessibleName("search the activity")
        self.search.setPlaceholderText("Search names, arguments and results …")
        self.search.setClearButtonEnabled(True)
        self.search.setMaxLength(MAX_SEARCH)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._emit)
        self.search.textChanged.connect(lambda _text: self._typing.start())
        self._names: dict[str, tuple[str, ...]] = {"Client": (), "Server": ()}
        self._chosen: dict[str, str] = {}
        self._chips = {
            kind: self._chip(kind, options)
            for kind, options in (
                ("Client", lambda: {name: name for name in self._names["Client"]}),
                ("Server", lambda: {name: name for name in self._names["Server"]}),
                ("Verdict", lambda: _VERDICTS),
                ("Risk", lambda: {risk.value: risk.value for risk in Risk}),
                ("Time", lambda: {text: text for text in _TIMES}),
            )
        }
        chips = row(*self._chips.values(), None, spacing=6)
        self.setLayout(column(self.search, chips, spacing=8))

    def know(self, clients: tuple[str, ...], servers: tuple[str, ...]) -> None:
        """The names that can be chosen."""
        self._names = {"Client": clients, "Server": servers}

    def filters(self) -> Filters:
        """What is set now."""
        chosen = self._chosen
        hours = _TIMES.get(chosen.get("Time", ""))
        return Filters(
            clients=(chosen["Client"],) if "Client" in chosen else (),
            servers=(chosen["Server"],) if "Server" in chosen else (),
            outcomes=(chosen["Verdict"],) if "Verdict" in chosen else (),
            risks=(chosen["Risk"],) if "Risk" in chosen else (),
            since=now() - timedelta(hours=hours) if hours else None,
            text=self.search.text().strip(),
        )

    def set_chip(self, kind: str, value: str | None) -> None:
        """Filter by this value; None takes the filter away."""
        if value is None:
            self._chosen.pop(kind, None)
        else:
            self._chosen[kind] = value
        chip = self._chips[kind]
        shown = _VERDICTS.get(value or "", value or "")
        chip.setText(f"{kind}: {shown}  ✕" if value else f"{kind}  ▾")
        chip.setAccessibleName(f"filter by {kind.lower()}: {shown}; press to remove" if value else f"filter by {kind}")
        chip.setProperty("set", value is not None)
        chip.style().unpolish(chip)
        chip.style().polish(chip)
        self._emit()

    def clear(self) -> None:
        """Take all filters away."""
        self.search.clear()
        for kind in list(self._chosen):
            self.set_chip(kind, None)

    def _chip(self, kind: str, options: Callable[[], dict[str, str]]) -> QPushButton:
        chip = button(f"{kind}  ▾", lambda: self._press(kind, options), name=f"main.filter.{kind.lower()}")
        chip.setProperty("chip", True)  # noqa: FBT003 - a Qt property
        chip.setAccessibleName(f"filter by {kind}")
        # A chosen filter with a long name must not make the window wider than the screen.
        chip.setMinimumWidth(CHIP_WIDTH)
        return chip

    def _press(self, kind: str, options: Callable[[], dict[str, str]]) -> None:
        if kind in self._chosen:
            self.set_chip(kind, None)
            return
        chip = self._chips[kind]
        menu = QMenu(chip)
        for value, text in options().items():
            action = QAction(text, menu)
            action.triggered.connect(lambda _checked=False, value=value: self.set_chip(kind, value))
            menu.addAction(action)
        if menu.isEmpty():
            nothing = QAction(f"no {kind.lower()} yet", menu)
            nothing.setEnabled(False)
            menu.addAction(nothing)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(chip.mapToGlobal(chip.rect().bottomLeft()))

    def _emit(self) -> None:
        self.changed.emit(self.filters())
