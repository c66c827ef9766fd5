"""The questions that the timeline asks of the database: pages by key, newest first."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ztmcp_desktop.audit import index
from ztmcp_desktop.audit.row import Row
from ztmcp_desktop.audit.schema import SELECT, rows
from ztmcp_desktop.domain.ledger import Filters, TimelineItem

MAX_PAGE = 500
MAX_UNINDEXED = 20_000
_NEWEST_OF_ITS_CALL = (
    "(e.kind <> 'opened' OR NOT EXISTS (SELECT 1 FROM entries c "
    "WHERE c.call = e.call AND c.call <> '' AND c.seq > e.seq AND c.kind = 'closed'))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    terms: tuple[str, ...]
    values: tuple[str | int, ...]

    def sql(self) -> str:
        return " AND ".join(self.terms)


def page(connection: sqlite3.Connection, filters: Filters, before: int | None, limit: int) -> tuple[TimelineItem, ...]:
    """The newest items below `before` (None: from the top) that pass the filters, at most 500."""
    limit = max(0, min(limit, MAX_PAGE))
    found = [_item(connection, row) for row in _take(newest(connection, filters, before), limit)]
    return tuple(found)


def newest(connection: sqlite3.Connection, filters: Filters, before: int | None) -> Iterator[Row]:
    """The newest row of each call, and each event, newest first."""
    where = _columns(filters)
    top = before if before is not None else 2**62
    if not filters.text.strip() and not filters.risks:
        query = f"{SELECT} WHERE {where.sql()} AND e.seq < ? ORDER BY e.seq DESC"
        yield from rows(connection.execute(query, (*where.values, top)))
        return
    done = index.indexed(connection)
    yield from _unindexed(connection, filters, done, top)
    yield from _indexed(connection, filters, done, top)


def _unindexed(connection: sqlite3.Connection, filters: Filters, done: int, top: int) -> Iterator[Row]:
    """What the index does not hold yet, which is little, is read row by row."""
    where = _columns(filters)
    query = f"{SELECT} WHERE {where.sql()} AND e.seq > ? AND e.seq < ? ORDER BY e.seq DESC LIMIT {MAX_UNINDEXED}"
    words = [word.casefold() for word in filters.text.split()]
    for row in rows(connection.execute(query, (*where.values, done, top))):
        text = index.words_of(row, index.opening_of(connection, row)).casefold() if words else ""
        if all(word in text for word in words) and (not filters.risks or index.facts_of(row)[0] in filters.risks):
            yield row


def _indexed(connection: sqlite3.Connection, filters: Filters, done: int, top: int) -> Iterator[Row]:
    where = _columns(filters)
    source, key = SELECT, "e.seq"
    terms, values = list(where.terms), list(where.values)
    if filters.text.strip():
        match = index.match_query(filters.text)
        if not match:
            return
        # CROSS JOIN keeps the search outermost, so that it is read newest first and only as far as is needed.
        source, key = SELECT.replace("FROM entries e", "FROM search s CROSS JOIN entries e"), "s.rowid"
        terms += ["s.words MATCH ?", "e.seq = s.rowid"]
        values.append(match)
    if filters.risks:
        facet = "SELECT 1 FROM facets f WHERE f.seq = e.seq AND f.risk IN"
        terms.append(f"EXISTS ({facet} ({_marks(filters.risks)}))")
        values.extend(filters.risks)
    query = f"{source} WHERE {' AND '.join(terms)} AND {key} <= ? AND {key} < ? ORDER BY {key} DESC"
    yield from rows(connection.execute(query, (*values, done, top)))


def _columns(filters: Filters) -> _Where:
    terms = [_NEWEST_OF_ITS_CALL]
    values: list[str | int] = []
    for column, wanted in (("client", filters.clients), ("server", filters.servers), ("outcome", filters.outcomes)):
        if wanted:
            terms.append(f"e.{column} IN ({_marks(wanted)})")
            values.extend(wanted)
    for comparison, moment in ((">=", filters.since), ("<", filters.until)):
        if moment is not None:
            terms.append(f"e.at {comparison} ?")
            values.append(stored_time(moment))
    return _Where(terms=tuple(terms), values=tuple(values))


def stored_time(moment: datetime) -> str:
    """The moment as the column `at` has it, so that text compares like time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))


def _take(found: Iterator[Row], limit: int) -> Iterator[Row]:
    for _, row in zip(range(limit), found, strict=False):
        yield row


def _item(connection: sqlite3.Connection, row: Row) -> TimelineItem:
    risk, duration_ms = index.facts_of(row)
    opening = index.opening_of(connection, row)
    entry = row.entry()
    return TimelineItem(
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        call=entry.call,
        client=entry.client or (opening.client if opening else ""),
        server=entry.server or (opening.server if opening else ""),
        method=entry.method or (opening.method if opening else ""),
        subject=entry.subject or (opening.subject if opening else ""),
        outcome=entry.outcome,
        code=entry.code,
        risk=risk,
        duration_ms=duration_ms,
    )
