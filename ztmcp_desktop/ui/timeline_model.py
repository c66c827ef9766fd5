"""The timeline as a list of rows that is read from the ledger page by page."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from ztmcp_desktop.domain.ledger import Filters, TimelineItem
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.timeline_words import clock_of, day_text, duration_text, now, reason_of, sentence_of, verdict_of

PAGE = 100
MAX_CATCH_UP_PAGES = 5
ITEM_ROLE = int(Qt.ItemDataRole.UserRole)
Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The heading of a day."""

    day: date
    text: str


Row = Day | TimelineItem


class TimelineModel(QAbstractListModel):
    """Newest first. An open call keeps its row when it ends, so that nothing moves under the reader."""

    loaded = Signal()
    arrived = Signal(int)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._filters = Filters()
        self._rows: list[Row] = []
        self._newest = 0
        self._oldest: int | None = None
        self._generation = 0
        self._more = True
        self._reading = False
        self._stale = False
        bridge.appended.connect(self._on_append, Qt.ConnectionType.QueuedConnection)

    @property
    def filters(self) -> Filters:
        """What is shown."""
        return self._filters

    def show_filters(self, filters: Filters) -> None:
        """Start anew from the top with other filters; answers to older questions are dropped."""
        self._filters = filters
        self.reload()

    def reload(self) -> None:
        """Read the first page again."""
        self._generation += 1
        self._more, self._reading, self._stale = True, True, False
        generation = self._generation
        self._bridge.page(self._filters, None, PAGE, lambda items: self._first(generation, items))

    def _first(self, generation: int, items: tuple[TimelineItem, ...]) -> None:
        if generation != self._generation:
            return
        self.beginResetModel()
        self._rows = _with_days(items, None)
        self._newest = items[0].seq if items else 0
        self._oldest = items[-1].seq if items else None
        self._more = len(items) == PAGE
        self.endResetModel()
        self._end_reading()
        self.loaded.emit()

    def _end_reading(self) -> None:
        self._reading = False
        if self._stale:
            self._stale = False
            self._catch_up(None, ())

    # Older entries.

    def canFetchMore(self, _parent: Index = _ROOT) -> bool:
        return self._more and not self._reading and self._oldest is not None

    def fetchMore(self, _parent: Index = _ROOT) -> None:
        if not self.canFetchMore():
            return
        self._reading = True
        generation = self._generation
        self._bridge.page(self._filters, self._oldest, PAGE, lambda items: self._older(generation, items))

    def _older(self, generation: int, items: tuple[TimelineItem, ...]) -> None:
        if generation != self._generation:
            return
        self._more = len(items) == PAGE
        known = {row.call for row in self._rows if isinstance(row, TimelineItem) and row.call}
        fresh = tuple(item for item in items if not item.call or item.call not in known)
        if items:
            self._oldest = items[-1].seq
        rows = _with_days(fresh, self._last_day())
        if rows:
            first = len(self._rows)
            self.beginInsertRows(_ROOT, first, first + len(rows) - 1)
            self._rows += rows
            self.endInsertRows()
        self._end_reading()

    def _last_day(self) -> date | None:
        last = self._rows[-1] if self._rows else None
        return last.at.astimezone().date() if isinstance(last, TimelineItem) else None

    # Newer entries.

    def _on_append(self, _seq: int) -> None:
        if self._reading:
            self._stale = True
        else:
            self._catch_up(None, ())

    def _catch_up(self, before: int | None, got: tuple[TimelineItem, ...]) -> None:
        self._reading = True
        generation = self._generation
        self._bridge.page(self._filters, before, PAGE, lambda items: self._newer(generation, got, items))

    def _newer(self, generation: int, got: tuple[TimelineItem, ...], items: tuple[TimelineItem, ...]) -> None:
        if generation != self._generation:
            return
        fresh = got + tuple(item for item in items if item.seq > self._newest)
        whole_page_is_new = len(items) == PAGE and items[-1].seq > self._newest
        if whole_page_is_new and len(fresh) >= PAGE * MAX_CATCH_UP_PAGES:
            self.reload()
            return
        if whole_page_is_new:
            self._catch_up(items[-1].seq, fresh)
            return
        self._merge(fresh)
        self._end_reading()

    def _merge(self, fresh: tuple[TimelineItem, ...]) -> None:
        if not fresh:
            return
        self._newest = max(self._newest, fresh[0].seq)
        places = {row.call: at for at, row in enumerate(self._rows) if isinstance(row, TimelineItem) and row.call}
        added: list[TimelineItem] = []
        for item in fresh:
            at = places.get(item.call) if item.call else None
            if at is None:
                added.append(item)
            else:
                self._rows[at] = replace(item, at=self._item(at).at, risk=item.risk or self._item(at).risk)
                self.dataChanged.emit(self.index(at), self.index(at))
        if added:
            self._prepend(tuple(added))

    def _item(self, at: int) -> TimelineItem:
        row = self._rows[at]
        if not isinstance(row, TimelineItem):
            raise TypeError("a heading stands where an entry was")
        return row

    def _prepend(self, items: tuple[TimelineItem, ...]) -> None:
        rows = _with_days(items, None)
        head = self._rows[0] if self._rows else None
        if isinstance(head, Day) and items[-1].at.astimezone().date() == head.day:
            # The heading of that day stands already; the new entries go below it.
            last = max(at for at, row in enumerate(rows) if isinstance(row, Day))
            older_day = rows[last + 1 :]
            self._insert(1, older_day)
            rows = rows[:last]
        self._insert(0, rows)
        if self._oldest is None:
            self._oldest = items[-1].seq
        self.arrived.emit(len(items))

    def _insert(self, at: int, rows: list[Row]) -> None:
        if rows:
            self.beginInsertRows(_ROOT, at, at + len(rows) - 1)
            self._rows[at:at] = rows
            self.endInsertRows()

    # What Qt asks.

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def row_at(self, index: Index) -> Row | None:
        """The row behind an index."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if isinstance(self.row_at(index), TimelineItem):
            return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        return Qt.ItemFlag.NoItemFlags

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:  # noqa: ANN401 - Qt's variant
        row = self.row_at(index)
        if row is None:
            return None
        if role == ITEM_ROLE:
            return row
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return row.text if isinstance(row, Day) else spoken(row)
        return None


def spoken(item: TimelineItem) -> str:
    """An entry as one line, for screen readers and for copying."""
    parts = (
        clock_of(item.at),
        verdict_of(item),
        sentence_of(item),
        item.risk,
        reason_of(item.code),
        duration_text(item.duration_ms),
    )
    return ", ".join(part for part in parts if part)


def _with_days(items: tuple[TimelineItem, ...], last: date | None) -> list[Row]:
    today = now()
    rows: list[Row] = []
    for item in items:
        day = item.at.astimezone().date()
        if day != last:
            rows.append(Day(day=day, text=day_text(item.at, today)))
            last = day
        rows.append(item)
    return rows
