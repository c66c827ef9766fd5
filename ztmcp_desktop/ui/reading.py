"""A yes that can be given only once all that it is about was painted."""

from collections.abc import Callable, Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ztmcp_desktop.ui.confirm_button import SettledButton
from ztmcp_desktop.ui.parts import button, column, label, row
from ztmcp_desktop.ui.plain_view import PlainView

SCROLL = "Scroll through all of it first; the rest has not been shown yet."


def views_in(boxes: Iterable[QWidget]) -> tuple[PlainView, ...]:
    """The views that these widgets hold."""
    return tuple(view for box in boxes for view in box.findChildren(PlainView))


def read_first(
    yes: tuple[str, str, Callable[[], object]], back: tuple[str, Callable[[], object]], views: tuple[PlainView, ...]
) -> QVBoxLayout:
    """A hint, "Not now" and the yes, each as (text, name, what it does); the yes waits until `views` were painted."""
    text, name, do = yes
    hint = label(SCROLL, muted=True)
    made = SettledButton(text, do, ready=lambda: _all_seen(views))
    made.setObjectName(name)

    def judge() -> None:
        hint.setText("" if _all_seen(views) else SCROLL)
        made.judge()

    for view in views:
        view.seen_changed.connect(judge, Qt.ConnectionType.QueuedConnection)
    # The hint above the buttons, so that a narrow pane is not made wider than what can be seen of it.
    return column(hint, row(None, button("Not now", back[1], name=back[0]), made))


def _all_seen(views: tuple[PlainView, ...]) -> bool:
    return all(view.all_seen for view in views)
