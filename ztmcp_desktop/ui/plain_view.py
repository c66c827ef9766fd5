"""Shows text of others, line by line in a fixed font, and knows which lines were really painted."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QWidget

from ztmcp_desktop.ui.argument_rows import Kind, Row
from ztmcp_desktop.ui.theme import fixed_font, theme_of

MAX_LINES = 200_000
MAX_SPOKEN = 20_000
_LABEL_SHARE = 0.3
_PADDING = 10.0
_ABOVE = 6.0
_GAP = 16.0
_MIN_COLUMNS = 8
_MOST_HINTED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One painted line. `newline` says that the text itself breaks here, and not only the view."""

    label: str
    text: str
    kind: Kind
    newline: bool
    first: bool


def wrap(text: str, width: float, metrics: QFontMetricsF) -> list[str]:
    """`text` in pieces that each fit into `width` pixels; the pieces joined are `text`.

    It breaks behind a space where there is one, and inside a word only where the word does not fit on a line.
    """
    columns = max(_MIN_COLUMNS, int(width / metrics.horizontalAdvance("M")))
    exact = text.isascii()
    pieces = []
    at = 0
    while at < len(text):
        size = min(columns, len(text) - at)
        while not exact and size > 1 and metrics.horizontalAdvance(text[at : at + size]) > width:
            size = max(1, size * 7 // 8)
        end = at + size
        if end < len(text):
            space = text.rfind(" ", at, end)
            # A line of nothing but the spaces before a long word would say nothing.
            if space > at and not text[at:space].isspace():
                end = space + 1
        pieces.append(text[at:end])
        at = end
    return pieces or [""]


class PlainView(QAbstractScrollArea):
    """A list of rows. `seen_changed` is emitted when lines were painted for the first time."""

    seen_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(fixed_font())
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setAutoFillBackground(False)
        self._rows: tuple[Row, ...] = ()
        self._lines: list[Line] = []
        self._seen: set[int] = set()
        self._label_width = 0.0
        self._too_long = False
        self._laid_width = -1

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        """Replace all that is shown; nothing of the new rows counts as seen."""
        self._rows = rows
        self._laid_width = -1
        self._lay_out()
        self.verticalScrollBar().setValue(0)
        spoken = "\n".join(f"{row.path}: {row.value}" for row in rows)
        rest = len(spoken) - MAX_SPOKEN
        self.setAccessibleDescription(spoken[:MAX_SPOKEN] + (f"\n{rest} more characters" if rest > 0 else ""))
        self.viewport().update()

    @property
    def line_count(self) -> int:
        """How many lines there are at this width."""
        return len(self._lines)

    @property
    def hidden_lines(self) -> int:
        """Lines that have not been painted yet."""
        return len(self._lines) - len(self._seen)

    @property
    def hidden_characters(self) -> int:
        """Characters in those lines."""
        return sum(len(line.text) for index, line in enumerate(self._lines) if index not in self._seen)

    @property
    def all_seen(self) -> bool:
        """Whether every line was painted; never where there are more than `MAX_LINES`."""
        return not self._too_long and self.hidden_lines == 0

    @property
    def too_long(self) -> bool:
        """Whether there is more than can be shown at all."""
        return self._too_long

    def show_next(self) -> None:
        """Scroll to the first line that was not painted yet."""
        for index in range(len(self._lines)):
            if index not in self._seen:
                self.verticalScrollBar().setValue(index)
                return

    def rows(self) -> Iterable[Row]:
        """What is shown."""
        return self._rows

    def sizeHint(self) -> QSize:
        return QSize(480, self.height_for_lines(max(3, min(len(self._lines), _MOST_HINTED))))

    def height_for_lines(self, lines: int) -> int:
        """Pixels that show so many lines at once."""
        return round(lines * self._line_height() + 2 * _ABOVE)

    def lines_in(self, height: int) -> int:
        """How many whole lines so many pixels show, at least one."""
        return max(1, int((height - 2 * _ABOVE + 0.5) / self._line_height()))

    def _line_height(self) -> float:
        return QFontMetricsF(self.font()).height() + 5

    def _page(self) -> int:
        return max(1, int((self.viewport().height() - 2 * _ABOVE + 5) / self._line_height()))

    def _lay_out(self) -> None:
        # With room kept for the scroll bar, so that its coming and going changes no line.
        width = self.width() - self.verticalScrollBar().sizeHint().width()
        if width != self._laid_width:
            self._laid_width = width
            self._seen.clear()
            self._too_long = False
            metrics = QFontMetricsF(self.font())
            longest = max((metrics.horizontalAdvance(row.path[:200]) for row in self._rows), default=0.0)
            self._label_width = min(longest + 1, width * _LABEL_SHARE) if longest else 0.0
            gap = _GAP if longest else 0.0
            room = width - 2 * _PADDING - self._label_width - gap - metrics.horizontalAdvance("↵")
            self._lines = self._wrapped(metrics, room)
            self.seen_changed.emit()
        page = self._page()
        self.verticalScrollBar().setRange(0, max(0, len(self._lines) - page))
        self.verticalScrollBar().setPageStep(page)
        self.updateGeometry()

    def _wrapped(self, metrics: QFontMetricsF, room: float) -> list[Line]:
        lines: list[Line] = []
        for row in self._rows:
            labels = wrap(row.path, self._label_width, metrics) if row.path else [""]
            pieces: list[tuple[str, bool]] = []
            real = row.value.replace("\t", "⇥   ").split("\n")
            for number, text in enumerate(real):
                parts = wrap(text, room, metrics)
                last = len(parts) - 1
                pieces += [(part, at == last and number < len(real) - 1) for at, part in enumerate(parts)]
                if len(lines) + len(pieces) > MAX_LINES:
                    self._too_long = True
                    return lines
            for at in range(max(len(labels), len(pieces))):
                text, newline = pieces[at] if at < len(pieces) else ("", False)
                label = labels[at] if at < len(labels) else ""
                lines.append(Line(label=label, text=text, kind=row.kind, newline=newline, first=at == 0))
        return lines

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        # At once and not when the loop is idle, so that lines scrolled past quickly are still painted.
        self.viewport().repaint()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        match event.key():
            case Qt.Key.Key_Home:
                bar.setValue(0)
            case Qt.Key.Key_End:
                bar.setValue(bar.maximum())
            case Qt.Key.Key_Space:
                bar.setValue(bar.value() + bar.pageStep())
            case _:
                super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = theme_of(self.palette())
        painter = QPainter(self.viewport())
        metrics = QFontMetricsF(self.font())
        height = self._line_height()
        x = _PADDING + self._label_width + (_GAP if self._label_width else 0)
        top = self.verticalScrollBar().value()
        bottom = min(len(self._lines), top + self._page())
        for index in range(top, bottom):
            line = self._lines[index]
            y = _ABOVE + (index - top) * height
            base = y + metrics.ascent()
            if line.first and index > top and self._label_width:
                painter.setPen(QColor(theme.line))
                painter.drawLine(QPointF(_PADDING, y - 2.5), QPointF(self.viewport().width() - _PADDING, y - 2.5))
            painter.setPen(QColor(theme.muted))
            painter.drawText(QPointF(_PADDING, base), line.label)
            painter.setPen(QColor(theme.text if line.kind is Kind.TEXT else theme.accent))
            painter.drawText(QPointF(x, base), line.text)
            if line.newline:
                painter.setPen(QColor(theme.muted))
                end = x + metrics.horizontalAdvance(line.text)
                painter.drawText(QRectF(end, y, metrics.horizontalAdvance("↵") + 4, height), 0, "↵")
        if self.hasFocus():
            painter.setPen(QColor(theme.accent))
            painter.drawRoundedRect(QRectF(self.viewport().rect()).adjusted(2.5, 0.5, -2.5, -0.5), 4, 4)
        painter.end()
        self._note_seen(top, bottom)

    def _note_seen(self, top: int, bottom: int) -> None:
        if not self.isVisible() or self.window().isMinimized():
            return
        # Only lines that no edge of the window or of a box around this view cuts off.
        clear = self.viewport().visibleRegion().boundingRect()
        if clear.width() < self.viewport().width():
            return
        cut = max(0, ceil((clear.top() - _ABOVE) / self._line_height()))
        whole = int((clear.bottom() + 1 - _ABOVE + 5) / self._line_height())
        before = len(self._seen)
        self._seen.update(range(top + cut, min(bottom, top + max(0, whole))))
        if len(self._seen) != before:
            self.seen_changed.emit()
