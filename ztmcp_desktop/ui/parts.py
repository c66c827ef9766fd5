"""Small parts that every page is made of. All text in them is plain text."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.ui.shapes import RISK_MARKS, Mark, draw_mark, risk_colours
from ztmcp_desktop.ui.theme import scaled, theme_of


def label(text: str = "", *, muted: bool = False, bold: bool = False, factor: float = 1.0) -> QLabel:
    """A wrapped label that never interprets markup."""
    made = QLabel()
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setText(text)
    made.setWordWrap(True)
    made.setProperty("muted", muted)
    if bold or factor != 1.0:
        made.setFont(scaled(made.font(), factor, QFont.Weight.DemiBold if bold else QFont.Weight.Normal))
    return made


def button(text: str, do: Callable[[], object], *, name: str = "", flat: bool = False) -> QPushButton:
    """A button that Return never presses."""
    made = QPushButton(text)
    made.setAutoDefault(False)
    made.setDefault(False)
    made.setProperty("flat", flat)
    if name:
        made.setObjectName(name)
    made.clicked.connect(lambda _checked: do())
    return made


def primary(made: QPushButton) -> QPushButton:
    """Mark the one button of a page that goes on."""
    made.setProperty("primary", True)  # noqa: FBT003 - a Qt property
    return made


def row(*widgets: QWidget | None, spacing: int = 8) -> QHBoxLayout:
    """Widgets side by side; None stretches."""
    made = QHBoxLayout()
    made.setSpacing(spacing)
    for widget in widgets:
        if widget is None:
            made.addStretch(1)
        else:
            made.addWidget(widget)
    return made


def column(*parts: QWidget | QLayout | None, spacing: int = 8, margin: int = 0) -> QVBoxLayout:
    """Widgets and layouts below each other; None stretches."""
    made = QVBoxLayout()
    made.setSpacing(spacing)
    made.setContentsMargins(margin, margin, margin, margin)
    for part in parts:
        if part is None:
            made.addStretch(1)
        elif isinstance(part, QWidget):
            made.addWidget(part)
        else:
            made.addLayout(part)
    return made


def card(inner: QLayout, kind: str = "card") -> QFrame:
    """A framed box: `card`, `sunken`, `warning`, `danger` or `good`."""
    made = QFrame()
    made.setProperty(kind, True)  # noqa: FBT003 - a Qt property
    made.setLayout(inner)
    return made


def holding(inner: QLayout) -> QWidget:
    """A plain widget around a layout."""
    made = QWidget()
    made.setLayout(inner)
    return made


def clear(layout: QLayout) -> None:
    """Take everything out of a layout."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear(inner)


class Chooser(QComboBox):
    """One of a few, with an arrow in the theme's ink; a style sheet could have one from a file only."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setPen(QColor(theme_of(self.palette()).text))
        where = QRectF(self.width() - 26, 0, 20, self.height())
        painter.drawText(where, Qt.AlignmentFlag.AlignCenter, "▾")
        painter.end()


class MarkLabel(QWidget):
    """One shape."""

    def __init__(self, mark: Mark, side: int = 18, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mark = mark
        self.setFixedSize(QSize(side + 2, side + 2))
        self.setAccessibleName(mark.value)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        side = self.width() - 2
        draw_mark(painter, QRectF(1, 1, side, side), self._mark, theme_of(self.palette()))
        painter.end()


class RiskBadge(QWidget):
    """Colour, shape and word for a risk."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._risk = Risk.UNKNOWN
        self._word = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFont(scaled(self.font(), 1.0, QFont.Weight.Bold))
        self.show_risk(Risk.UNKNOWN)

    def show_risk(self, risk: Risk, word: str | None = None) -> None:
        """Show this risk; `word` stands instead of its name for what is no call."""
        self._risk = risk
        self._word = (word or risk.value).upper()
        self.setAccessibleName(f"risk: {self._word.lower()}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        # As wide as the widest word, so that the sentence beside it does not move.
        widest = max(self.fontMetrics().horizontalAdvance(word) for word in ("UNKNOWN", "DESTROY", self._word))
        return QSize(widest + 46, self.fontMetrics().height() + 14)

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = theme_of(self.palette())
        ink, wash = risk_colours(self._risk, theme)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(ink))
        painter.setBrush(QColor(wash))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        side = 18.0
        draw_mark(painter, QRectF(10, (self.height() - side) / 2, side, side), RISK_MARKS[self._risk], theme)
        painter.setPen(QColor(ink))
        metrics = painter.fontMetrics()
        base = (self.height() + metrics.ascent() - metrics.descent()) / 2
        painter.drawText(QPointF(35, base), self._word)
        painter.end()
