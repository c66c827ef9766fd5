"""How much of its patience a question has left, counted while it can be seen."""

import time
from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ztmcp_desktop.ui.theme import theme_of

_HURRY_S = 10


class Patience:
    """A mirror of the core's clock: runs between `run` and `hold`, for the display only."""

    def __init__(self, patience_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.patience_s = patience_s
        self._monotonic = monotonic
        self._spent_s = 0.0
        self._since_s: float | None = None

    def run(self) -> None:
        """It is visible."""
        if self._since_s is None:
            self._since_s = self._monotonic()

    def hold(self) -> None:
        """It is not."""
        if self._since_s is not None:
            self._spent_s += self._monotonic() - self._since_s
            self._since_s = None

    @property
    def left_s(self) -> float:
        """Seconds left, never below 0."""
        running = 0.0 if self._since_s is None else self._monotonic() - self._since_s
        return max(0.0, self.patience_s - self._spent_s - running)


def clock_text(seconds: float) -> str:
    """`0:41`."""
    whole = int(seconds + 0.999)
    return f"{whole // 60}:{whole % 60:02d}"


class Countdown(QWidget):
    """A ring and the time; says the time as its accessible name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._left_s = 0.0
        self._whole_s = 1.0
        self.setObjectName("consent.countdown")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_left(self, left_s: float, whole_s: float) -> None:
        """Show `left_s` of `whole_s` seconds."""
        before = self.text()
        self._left_s, self._whole_s = left_s, max(whole_s, 0.001)
        if self.text() != before or not self.accessibleName():
            self.setAccessibleName(f"{self.text()} left; then the call is refused")
            self.update()

    def text(self) -> str:
        """The time left."""
        return clock_text(self._left_s)

    def sizeHint(self) -> QSize:
        return QSize(24 + self.fontMetrics().horizontalAdvance("00:00") + 8, max(24, self.fontMetrics().height()))

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = theme_of(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QRectF(3, (self.height() - 16) / 2, 16, 16)
        pen = painter.pen()
        pen.setWidthF(3)
        pen.setColor(QColor(theme.line))
        painter.setPen(pen)
        painter.drawEllipse(ring)
        colour = QColor(theme.red if self._left_s <= _HURRY_S else theme.muted)
        pen.setColor(colour)
        painter.setPen(pen)
        painter.drawArc(ring, 90 * 16, round(360 * 16 * min(1.0, self._left_s / self._whole_s)))
        painter.setPen(colour)
        painter.drawText(self.rect().adjusted(26, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.end()
