"""A box with a heading and rows of (label, value), each value whole."""

from collections.abc import Iterable

from PySide6.QtWidgets import QFrame

from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.argument_rows import Row, as_rows
from ztmcp_desktop.ui.parts import card, column, label
from ztmcp_desktop.ui.plain_view import PlainView

MAX_LINES = 24


def rows_of(facts: Iterable[tuple[str, Json]]) -> tuple[Row, ...]:
    """Facts as rows; what is no text is spelled out leaf by leaf."""
    rows: list[Row] = []
    for name, value in facts:
        if isinstance(value, str):
            rows.append(Row(path=name, value=visible(value)))
        else:
            rows += as_rows({name: value})
    return tuple(rows)


def facts_box(heading: str, rows: tuple[Row, ...], width: int, kind: str = "card") -> QFrame:
    """The box, as high as its lines at `width` pixels but at most `MAX_LINES`; the rest scrolls."""
    view = PlainView()
    view.setAccessibleName(heading)
    view.resize(max(260, width), 100)
    view.show_rows(rows)
    view.setFixedHeight(view.height_for_lines(max(1, min(MAX_LINES, view.line_count))))
    title = label(heading, bold=True)
    title.setContentsMargins(10, 6, 10, 0)
    return card(column(title, view, spacing=0), kind)
