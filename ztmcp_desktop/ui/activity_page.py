"""The activity: what was asked, allowed and refused, newest first."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QStackedWidget, QWidget

from ztmcp_desktop.domain.ledger import Filters, TimelineItem, Verification
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.details_view import DetailsView
from ztmcp_desktop.ui.filter_bar import FilterBar
from ztmcp_desktop.ui.parts import button, column, label, row
from ztmcp_desktop.ui.timeline_model import TimelineModel
from ztmcp_desktop.ui.timeline_view import TimelineView

_EMPTY = "Nothing has happened yet"
_EMPTY_NEXT = (
    "Add a server under Servers and a client under Clients, and point the client at the address that you get. "
    "Each call that it makes then appears here."
)


class ActivityPage(QWidget):
    """Timeline, filters and details."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.model = TimelineModel(bridge)
        self.view = TimelineView(self.model)
        self.details = DetailsView(bridge)
        self.filters = FilterBar()
        self._verdict = label(muted=True)
        self._verify = button("Verify", self._start_verify, name="main.verify")
        self._verify.setAccessibleName("check the whole record for changes")
        self._new = button("", self._to_top, name="main.new", flat=True)
        self._new.hide()
        self._arrived = 0
        self._none_title = label(_EMPTY, bold=True, factor=1.2)
        self._none_next = label(_EMPTY_NEXT, muted=True)
        self._clear = button("Take all filters away", self.filters.clear, name="main.clear-filters")
        self._none = QWidget()
        none = column(None, self._none_title, self._none_next, row(self._clear, None), None, spacing=10, margin=40)
        self._none.setLayout(none)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.view)
        self._stack.addWidget(self._none)
        left = QWidget()
        left.setLayout(column(self.filters, self._new, self._stack, spacing=8))
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.addWidget(left)
        halves.addWidget(self.details)
        halves.setSizes([560, 420])
        halves.setStretchFactor(0, 3)
        halves.setStretchFactor(1, 2)
        halves.setChildrenCollapsible(False)
        halves.setHandleWidth(12)
        head = row(label("Activity", bold=True, factor=1.5), None, self._verdict, self._verify)
        whole = column(head, halves, spacing=10, margin=18)
        whole.setStretchFactor(halves, 1)
        self.setLayout(whole)
        self._connect()

    def _connect(self) -> None:
        self.filters.changed.connect(self._filter)
        self.view.chosen.connect(self.details.show_item)
        self.model.loaded.connect(self._loaded)
        self.model.arrived.connect(self._on_arrived)
        self.model.dataChanged.connect(self._refresh_details)
        self.view.verticalScrollBar().valueChanged.connect(self._scrolled)

    def load(self) -> None:
        """Read the first page."""
        self.model.reload()

    def _filter(self, filters: Filters) -> None:
        self.model.show_filters(filters)

    def _loaded(self) -> None:
        empty = self.model.rowCount() == 0
        filtered = self.model.filters != Filters()
        self._none_title.setText("Nothing matches" if filtered else _EMPTY)
        self._none_next.setText("Search for less, or take a filter away." if filtered else _EMPTY_NEXT)
        self._clear.setVisible(filtered)
        self._stack.setCurrentWidget(self._none if empty else self.view)
        self._arrived = 0
        self._new.hide()

    def _on_arrived(self, count: int) -> None:
        self._stack.setCurrentWidget(self.view)
        if self.view.verticalScrollBar().value() == 0:
            return
        self._arrived += count
        self._new.setText(f"▲  {self._arrived} new {'entry' if self._arrived == 1 else 'entries'}")
        self._new.show()

    def _to_top(self) -> None:
        self.view.scrollToTop()

    def _scrolled(self, value: int) -> None:
        if value == 0:
            self._arrived = 0
            self._new.hide()

    def _refresh_details(self) -> None:
        row_now = self.model.row_at(self.view.currentIndex())
        if isinstance(row_now, TimelineItem):
            self.details.show_item(row_now)

    def _start_verify(self) -> None:
        self._verify.setEnabled(False)
        self._verdict.setText("Checking …")
        self._bridge.verify(self._verified, self._not_verified)

    def _verified(self, verification: Verification) -> None:
        self._verify.setEnabled(True)
        if verification.bad_seq is None and not verification.reason:
            self._verdict.setText(f"{verification.rows:,} rows, unbroken")
        elif verification.bad_seq is None:
            self._verdict.setText(verification.reason)
        else:
            self._verdict.setText(f"Row {verification.bad_seq} does not hold: {verification.reason}")

    def _not_verified(self, why: str) -> None:
        self._verify.setEnabled(True)
        self._verdict.setText(why)
