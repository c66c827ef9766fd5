"""A wrapped sentence with words of ours in ordinary type and words of others in bold; never markup."""

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QTextCharFormat, QTextLayout, QTextOption
from PySide6.QtWidgets import QSizePolicy, QWidget

from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.theme import theme_of

MAX_SHOWN = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of a sentence; `strong` marks what others named."""

    text: str
    strong: bool = False


def cut(untrusted: str, most: int = MAX_SHOWN) -> str:
    """One visible line of at most `most` characters; what is cut off is counted."""
    shown = visible(untrusted).replace("\n", "⟦U+000A⟧").replace("\t", "⟦U+0009⟧")
    if len(shown) <= most:
        return shown
    return f"{shown[:most]}… (+{len(shown) - most} characters hidden)"


class Sentence(QWidget):
    """Paints spans, wrapped to the width; what it says is its accessible name too."""

    def __init__(self, parent: QWidget | None = None, *, muted: bool = False) -> None:
        super().__init__(parent)
        self._spans: tuple[Span, ...] = ()
        self._muted = muted
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def say(self, *spans: Span) -> None:
        """Show these spans."""
        self._spans = spans
        self.setAccessibleName(self.text())
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The whole sentence."""
        return "".join(span.text for span in self._spans)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return round(self._laid_out(width)[1] + 1)

    def sizeHint(self) -> QSize:
        return QSize(360, self.heightForWidth(max(self.width(), 360)))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.fontMetrics().height())

    def _laid_out(self, width: float) -> tuple[QTextLayout, float]:
        layout = QTextLayout(self.text(), self.font())
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        option.setTextDirection(Qt.LayoutDirection.LeftToRight)
        layout.setTextOption(option)
        layout.setFormats(self._formats())
        layout.beginLayout()
        height = 0.0
        while (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            line.setPosition(QPointF(0, height))
            height += line.height() + 1
        layout.endLayout()
        return layout, height

    def _formats(self) -> list[QTextLayout.FormatRange]:
        formats, at = [], 0
        for span in self._spans:
            # Qt counts UTF-16 units.
            length = len(span.text.encode("utf-16-le", "surrogatepass")) // 2
            if span.strong:
                bold = QTextLayout.FormatRange()
                bold.start, bold.length = at, length
                bold.format = QTextCharFormat()
                bold.format.setFontWeight(QFont.Weight.Bold)
                formats.append(bold)
            at += length
        return formats

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = theme_of(self.palette())
        painter.setPen(QColor(theme.muted if self._muted else theme.text))
        layout, _ = self._laid_out(self.width())
        layout.draw(painter, QPointF(0, 0), [], QRectF())
        painter.end()
