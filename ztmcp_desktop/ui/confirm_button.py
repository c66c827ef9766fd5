"""A button for what cannot be undone: the first press asks, the second does it."""

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QPushButton, QWidget

from ztmcp_desktop.ui.settling import Settling

ARMED_MS = 6000
SETTLE_MS = 700


class ConfirmButton(QPushButton):
    """Says what the second press will do; a double click is one press."""

    def __init__(self, text: str, sure: str, do: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setAutoDefault(False)
        self._text, self._sure, self._do = text, sure, do
        self._calm = Settling(SETTLE_MS)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(ARMED_MS)
        self._timer.timeout.connect(self._disarm)
        self.clicked.connect(lambda _checked: self._press())

    def _press(self) -> None:
        if not self._timer.isActive():
            self.setText(self._sure)
            self._calm.disturb()
            self._timer.start()
        elif self._calm.calm:
            self._disarm()
            self._do()

    def relabel(self, text: str, sure: str) -> None:
        """Say something else from now on; an armed button is disarmed if that changes what it does."""
        if (text, sure) != (self._text, self._sure):
            self._text, self._sure = text, sure
            self._disarm()

    def _disarm(self) -> None:
        self._timer.stop()
        self.setText(self._text)


class SettledButton(QPushButton):
    """A button for a yes to what stands above it: it works once it has been seen for a moment, and `ready` agrees."""

    def __init__(
        self,
        text: str,
        do: Callable[[], object],
        parent: QWidget | None = None,
        *,
        ready: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(text, parent)
        self.setAutoDefault(False)
        self.setEnabled(False)
        self.clicked.connect(lambda _checked: do())
        self._ready = ready
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self.judge)
        self._timer.start()

    def judge(self) -> None:
        """Ask `ready` again."""
        self.setEnabled(not self._timer.isActive() and (self._ready is None or self._ready()))
