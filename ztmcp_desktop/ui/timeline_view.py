"""The list of the timeline: each row painted in one go, and steady while new rows arrive."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ztmcp_desktop.domain.ledger import TimelineItem
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.ui import timeline_words as words
from ztmcp_desktop.ui.shapes import draw_mark, mark_colour, risk_colours
from ztmcp_desktop.ui.theme import Theme, scaled, theme_of
from ztmcp_desktop.ui.timeline_model import ITEM_ROLE, Day, TimelineModel

_RISKS = {risk.value: risk for risk in Risk}
_SIDE = 16.0


class TimelineDelegate(QStyledItemDelegate):
    """Paints an entry: time, verdict, sentence, risk and reason, duration."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        line = option.fontMetrics.height()
        row = index.data(ITEM_ROLE)
        return QSize(200, round(line * 2.1) if isinstance(row, Day) else round(line * 2.9))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = index.data(ITEM_ROLE)
        theme = theme_of(option.palette)
        rect: QRect = option.rect
        painter.save()
        painter.setClipRect(rect)
        if isinstance(row, Day):
            painter.setFont(scaled(option.font, 0.95, QFont.Weight.DemiBold))
            painter.setPen(QColor(theme.muted))
            painter.drawText(rect.adjusted(14, 6, -14, -2), Qt.AlignmentFlag.AlignVCenter, row.text)
        elif isinstance(row, TimelineItem):
            state = option.state
            if state & QStyle.StateFlag.State_Selected:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(theme.selected))
                painter.drawRoundedRect(QRectF(rect).adjusted(4, 1, -4, -1), 6, 6)
            self._paint_item(painter, option, rect, row, theme)
        painter.restore()

    def _paint_item(
        self, painter: QPainter, option: QStyleOptionViewItem, rect: QRect, item: TimelineItem, theme: Theme
    ) -> None:
        font: QFont = option.font
        small = scaled(font, 0.9)
        metrics = painter.fontMetrics()
        mark = words.mark_of(item)
        draw_mark(painter, QRectF(rect.left() + 16, rect.center().y() - _SIDE / 2, _SIDE, _SIDE), mark, theme)
        left = rect.left() + 44
        middle = rect.center().y()
        painter.setFont(font)
        metrics = painter.fontMetrics()
        right_text = f"{words.duration_text(item.duration_ms)}   {words.clock_of(item.at)}".strip()
        right_width = metrics.horizontalAdvance(right_text) + 18
        painter.setPen(QColor(theme.muted))
        right = rect.adjusted(0, 0, -14, 0)
        painter.drawText(right, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, right_text)
        painter.setPen(QColor(theme.text))
        room = max(40, rect.right() - left - right_width)
        sentence = metrics.elidedText(words.sentence_of(item), Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(QPointF(left, middle - 3), sentence)
        painter.setFont(small)
        x = float(left)
        below = middle + painter.fontMetrics().ascent() + 2
        reason = words.reason_of(item.code)
        verdict = words.verdict_of(item) + (f": {reason}" if reason else "")
        painter.setPen(QColor(mark_colour(mark, theme)))
        painter.drawText(QPointF(x, below), verdict)
        x += painter.fontMetrics().horizontalAdvance(verdict)
        if item.risk in _RISKS:
            painter.setPen(QColor(theme.muted))
            painter.drawText(QPointF(x, below), "  ·  ")
            x += painter.fontMetrics().horizontalAdvance("  ·  ")
            painter.setPen(QColor(risk_colours(_RISKS[item.risk], theme)[0]))
            painter.drawText(QPointF(x, below), item.risk)


class TimelineView(QListView):
    """Keyboard and mouse choose an entry. `copied` asks to copy it."""

    chosen = Signal(object)

    def __init__(self, model: TimelineModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._timeline = model
        self._anchor: tuple[int, int] | None = None
        self.setModel(model)
        self.setItemDelegate(TimelineDelegate(self))
        self.setObjectName("main.activity")
        self.setAccessibleName("activity, newest first")
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setLayoutMode(QListView.LayoutMode.SinglePass)
        model.rowsAboutToBeInserted.connect(self._before)
        model.rowsInserted.connect(self._after)

    def _reading(self) -> bool:
        return self.verticalScrollBar().value() > 0 or self.currentIndex().isValid()

    def _before(self, _parent: QModelIndex, first: int, _last: int) -> None:
        """Remember which row stands where, if somebody reads below the place where rows go in."""
        self._anchor = None
        top = self.indexAt(self.viewport().rect().topLeft())
        if self._reading() and top.isValid() and top.row() >= first:
            self._anchor = (top.row(), self.visualRect(top).top())

    def _after(self, _parent: QModelIndex, first: int, last: int) -> None:
        if self._anchor is None:
            return
        before, y = self._anchor
        self._anchor = None
        self.doItemsLayout()
        index = self._timeline.index(before + last - first + 1)
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + self.visualRect(index).top() - y)

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:  # type: ignore[override]
        super().currentChanged(current, previous)
        row = self._timeline.row_at(current)
        if isinstance(row, TimelineItem):
            self.chosen.emit(row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.setCurrentIndex(QModelIndex())
            return
        super().keyPressEvent(event)
