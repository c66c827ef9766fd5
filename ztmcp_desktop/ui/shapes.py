"""Shapes that tell risks, verdicts and tray states apart without colour."""

import math
from enum import StrEnum

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.ui.theme import Theme

_MOST_COUNTED = 9


class Mark(StrEnum):
    """A shape with a sign in it."""

    CIRCLE_EYE = "read"
    TRIANGLE = "write"
    OCTAGON = "destroy"
    DIAMOND = "unknown"
    TICK = "allowed"
    CROSS = "denied"
    BREAK = "failed"
    RING = "open"
    DOT = "event"


RISK_MARKS = {
    Risk.READ: Mark.CIRCLE_EYE,
    Risk.WRITE: Mark.TRIANGLE,
    Risk.DESTROY: Mark.OCTAGON,
    Risk.UNKNOWN: Mark.DIAMOND,
}


class TrayState(StrEnum):
    """What the tray icon says."""

    WATCHING = "watching"
    ASKING = "asking"
    PAUSED = "paused"
    LOCKED = "locked"
    WRONG = "something is wrong"


def risk_colours(risk: Risk, theme: Theme) -> tuple[str, str]:
    """Ink and wash for a risk."""
    return {
        Risk.READ: (theme.blue, theme.blue_wash),
        Risk.WRITE: (theme.amber, theme.amber_wash),
        Risk.DESTROY: (theme.red, theme.red_wash),
        Risk.UNKNOWN: (theme.purple, theme.purple_wash),
    }[risk]


def mark_colour(mark: Mark, theme: Theme) -> str:
    """The ink of a mark."""
    return {
        Mark.CIRCLE_EYE: theme.blue,
        Mark.TRIANGLE: theme.amber,
        Mark.OCTAGON: theme.red,
        Mark.DIAMOND: theme.purple,
        Mark.TICK: theme.green,
        Mark.CROSS: theme.red,
        Mark.BREAK: theme.amber,
        Mark.RING: theme.blue,
        Mark.DOT: theme.muted,
    }[mark]


def _polygon(rect: QRectF, corners: int, turn_degrees: float) -> QPolygonF:
    radius = rect.width() / 2
    centre = rect.center()
    angles = (math.radians(turn_degrees + 360 * index / corners) for index in range(corners))
    return QPolygonF([QPointF(centre.x() + radius * math.cos(a), centre.y() + radius * math.sin(a)) for a in angles])


def draw_mark(painter: QPainter, rect: QRectF, mark: Mark, theme: Theme) -> None:
    """Paint `mark` into the square `rect`, filled in its ink with its sign cut out in the surface's colour."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    ink, paper = QColor(mark_colour(mark, theme)), QColor(theme.surface)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    line = QPen(paper, max(1.4, rect.width() / 9), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    match mark:
        case Mark.CIRCLE_EYE:
            painter.drawEllipse(rect)
            _draw_eye(painter, rect, line)
        case Mark.TRIANGLE:
            painter.drawPolygon(_polygon(rect.adjusted(-1, 0, 1, 2), 3, -90))
            _draw_sign(painter, rect.translated(0, rect.height() * 0.06), "!", paper)
        case Mark.OCTAGON:
            painter.drawPolygon(_polygon(rect.adjusted(-0.5, -0.5, 0.5, 0.5), 8, 22.5))
            painter.setPen(line)
            _draw_strokes(painter, rect, ((0.3, 0.5, 0.7, 0.5),))
        case Mark.DIAMOND:
            painter.drawPolygon(_polygon(rect.adjusted(-1, -1, 1, 1), 4, 0))
            _draw_sign(painter, rect, "?", paper)
        case Mark.TICK:
            painter.drawEllipse(rect)
            painter.setPen(line)
            _draw_strokes(painter, rect, ((0.28, 0.53, 0.44, 0.68), (0.44, 0.68, 0.72, 0.36)))
        case Mark.CROSS:
            painter.drawRoundedRect(rect, rect.width() / 5, rect.width() / 5)
            painter.setPen(line)
            _draw_strokes(painter, rect, ((0.32, 0.32, 0.68, 0.68), (0.68, 0.32, 0.32, 0.68)))
        case Mark.BREAK:
            painter.drawPolygon(_polygon(rect.adjusted(-1, 0, 1, 2), 3, -90))
            _draw_sign(painter, rect.translated(0, rect.height() * 0.06), "!", paper)
        case Mark.RING:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ink, rect.width() / 7, Qt.PenStyle.DotLine))
            painter.drawEllipse(rect.adjusted(1.5, 1.5, -1.5, -1.5))
        case Mark.DOT:
            inset = rect.width() * 0.3
            painter.drawEllipse(rect.adjusted(inset, inset, -inset, -inset))
    painter.restore()


def _draw_strokes(painter: QPainter, rect: QRectF, strokes: tuple[tuple[float, float, float, float], ...]) -> None:
    for x1, y1, x2, y2 in strokes:
        painter.drawLine(
            QPointF(rect.x() + x1 * rect.width(), rect.y() + y1 * rect.height()),
            QPointF(rect.x() + x2 * rect.width(), rect.y() + y2 * rect.height()),
        )


def _draw_sign(painter: QPainter, rect: QRectF, sign: str, colour: QColor) -> None:
    font = QFont(painter.font())
    font.setPixelSize(max(6, round(rect.height() * 0.66)))
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, sign)


def _draw_eye(painter: QPainter, rect: QRectF, line: QPen) -> None:
    lid = QPainterPath()
    left, right = QPointF(rect.x() + rect.width() * 0.2, 0), QPointF(rect.x() + rect.width() * 0.8, 0)
    middle = rect.center().y()
    left.setY(middle)
    right.setY(middle)
    lid.moveTo(left)
    lid.quadTo(QPointF(rect.center().x(), rect.y() + rect.height() * 0.16), right)
    lid.quadTo(QPointF(rect.center().x(), rect.y() + rect.height() * 0.84), left)
    painter.setBrush(line.color())
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawPath(lid)


def tray_icon(state: TrayState, count: int, theme: Theme) -> QIcon:
    """The icon at the usual sizes; `count` open questions are written on it while asking."""
    icon = QIcon()
    for side in (16, 22, 24, 32, 48, 64, 128):
        icon.addPixmap(tray_pixmap(state, count, side, theme))
    return icon


def _shield(rect: QRectF) -> QPainterPath:
    path = QPainterPath()
    x, y, w, h = rect.x(), rect.y(), rect.width(), rect.height()
    path.moveTo(x + w / 2, y)
    path.cubicTo(x + w * 0.68, y + h * 0.12, x + w * 0.86, y + h * 0.16, x + w, y + h * 0.16)
    path.cubicTo(x + w, y + h * 0.62, x + w * 0.84, y + h * 0.86, x + w / 2, y + h)
    path.cubicTo(x + w * 0.16, y + h * 0.86, x, y + h * 0.62, x, y + h * 0.16)
    path.cubicTo(x + w * 0.14, y + h * 0.16, x + w * 0.32, y + h * 0.12, x + w / 2, y)
    return path


def tray_pixmap(state: TrayState, count: int, side: int, theme: Theme) -> QPixmap:
    """One size of the tray icon: a shield with an eye, a number, two bars, a keyhole lock, or a broken sign."""
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    box = QRectF(0, 0, side, side)
    colours = {
        TrayState.WATCHING: theme.accent,
        TrayState.ASKING: theme.amber,
        TrayState.PAUSED: theme.muted,
        TrayState.LOCKED: theme.red,
        TrayState.WRONG: theme.red,
    }
    ink, paper = QColor(colours[state]), QColor("#FFFFFF") if not theme.dark else QColor("#101216")
    body = box.adjusted(side * 0.1, side * 0.03, -side * 0.1, -side * 0.03)
    if state is TrayState.PAUSED:
        painter.setPen(QPen(ink, max(1.5, side * 0.08)))
        painter.drawPath(_shield(body.adjusted(side * 0.05, side * 0.05, -side * 0.05, -side * 0.05)))
    else:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        painter.drawPath(_shield(body))
    line = QPen(ink if state is TrayState.PAUSED else paper, max(1.5, side * 0.1))
    line.setCapStyle(Qt.PenCapStyle.RoundCap)
    _draw_state(painter, box, state, count, line)
    if state is TrayState.WATCHING:
        painter.setBrush(ink)
        painter.drawEllipse(QPointF(side / 2, side * 0.48), side * 0.085, side * 0.085)
    painter.end()
    return pixmap


def _draw_state(painter: QPainter, box: QRectF, state: TrayState, count: int, line: QPen) -> None:
    side = box.width()
    inner = box.adjusted(side * 0.2, side * 0.18, -side * 0.2, -side * 0.22)
    match state:
        case TrayState.WATCHING:
            _draw_eye(painter, inner.adjusted(-side * 0.08, -side * 0.08, side * 0.08, side * 0.08), line)
        case TrayState.ASKING:
            text = str(count) if count <= _MOST_COUNTED else "9+"
            _draw_sign(painter, box.adjusted(0, 0, 0, -side * 0.06), text, line.color())
        case TrayState.PAUSED:
            painter.setPen(line)
            _draw_strokes(painter, box, ((0.41, 0.36, 0.41, 0.6), (0.59, 0.36, 0.59, 0.6)))
        case TrayState.LOCKED:
            painter.setBrush(line.color())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawRoundedRect(QRectF(side * 0.3, side * 0.45, side * 0.4, side * 0.28), side * 0.04, side * 0.04)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(line.color(), max(1.5, side * 0.08)))
            painter.drawArc(QRectF(side * 0.37, side * 0.24, side * 0.26, side * 0.38), 0, 180 * 16)
        case TrayState.WRONG:
            _draw_sign(painter, box.adjusted(0, 0, 0, -side * 0.06), "!", line.color())
            painter.setPen(line)
