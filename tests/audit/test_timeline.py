import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.audit.ledger_kit import Home, closed, draft, opened, until
from tests.fakes import START
from ztmcp_desktop.audit import query
from ztmcp_desktop.audit.store import Store
from ztmcp_desktop.audit.timeline import SqliteTimeline
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import EntryKind, Filters, Outcome


@pytest.fixture
async def store(home: Home) -> AsyncIterator[Store]:
    store = await home.open()
    yield store
    await store.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def indexed(home: Home, seq: int) -> None:
    await until(lambda: home.sql("SELECT seq FROM indexed")[0][0] >= seq)


async def calls(timeline: SqliteTimeline, **filters: Any) -> list[str]:
    return [item.call for item in await timeline.page(Filters(**filters), None, 100)]


async def test_a_ledger_that_is_not_there_is_said_to_be_missing(home: Home) -> None:
    with pytest.raises(Denial, match="there is no ledger") as refused:
        await home.timeline().page(Filters(), None, 10)
    assert refused.value.code is Code.GATEWAY_FAULT
    assert not home.ledger.exists()


async def test_a_call_is_one_item_with_its_risk_and_duration(home: Home, store: Store) -> None:
    await store.append(opened("c1"))
    await store.append(closed("c1", risk="destroy"))
    (item,) = await home.timeline().page(Filters(), None, 10)
    assert (item.seq, item.call, item.risk, item.duration_ms, item.outcome) == (2, "c1", "destroy", 12, "allowed")


async def test_a_call_in_flight_is_an_item_without_an_outcome(home: Home, store: Store) -> None:
    await store.append(opened("c1"))
    (item,) = await home.timeline().page(Filters(), None, 10)
    assert (item.outcome, item.duration_ms) == ("", None)


async def test_pages_go_on_where_the_last_one_ended(home: Home, store: Store) -> None:
    for number in range(7):
        await store.append(opened(f"c{number}"))
        await store.append(closed(f"c{number}"))
    timeline, seen, before = home.timeline(), [], None
    while batch := await timeline.page(Filters(), before, 3):
        seen += [item.call for item in batch]
        before = batch[-1].seq
    assert seen == [f"c{number}" for number in reversed(range(7))]


async def test_a_page_is_never_longer_than_its_bound(home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await store.append(opened(f"c{number}"))
    monkeypatch.setattr(query, "MAX_PAGE", 4)
    assert len(await home.timeline().page(Filters(), None, 10**9)) == 4
    assert await home.timeline().page(Filters(), None, -1) == ()


@pytest.mark.parametrize("background", ["before", "after"])
async def test_filters_and_search_find_the_same_before_and_after_indexing(
    home: Home, store: Store, background: str
) -> None:
    if background == "before":
        store._writer.index_some = lambda: False
    await store.append(opened("c1", client="cursor", path="/srv/häuser/plan.txt"))
    await store.append(closed("c1", client="cursor", risk="write", result="umbrella"))
    home.clock.seconds = 60
    await store.append(opened("c2", server="mail"))
    await store.append(closed("c2", server="mail", outcome=Outcome.DENIED, code=Code.REFUSED_BY_PERSON))
    await store.append(opened("c3"))
    if background == "after":
        await indexed(home, 5)
    timeline = home.timeline()
    assert await calls(timeline, text="umbrella") == ["c1"]
    assert await calls(timeline, text="häus") == ["c1"]
    assert await calls(timeline, text="plan.txt cursor") == ["c1"]
    assert await calls(timeline, text="refused-by-person") == ["c2"]
    assert await calls(timeline, text="umbrella mail") == []
    assert await calls(timeline, text="notes") == ["c3", "c2"]
    assert await calls(timeline, risks=("write",)) == ["c1"]
    assert await calls(timeline, risks=("read", "write")) == ["c2", "c1"]
    assert await calls(timeline, risks=("write",), text="notes") == []
    assert await calls(timeline, clients=("cursor",)) == ["c1"]
    assert await calls(timeline, servers=("mail",)) == ["c2"]
    assert await calls(timeline, outcomes=("denied",)) == ["c2"]
    assert await calls(timeline, outcomes=("",)) == ["c3"]
    assert await calls(timeline, until=START + timedelta(seconds=30)) == ["c1"]
    assert await calls(timeline, since=START + timedelta(seconds=30)) == ["c3", "c2"]
    first = (await timeline.page(Filters(text="files"), None, 1))[0]
    assert [item.call for item in await timeline.page(Filters(text="files"), first.seq, 1)] == ["c1"]


@pytest.mark.parametrize(
    "text", ['"', '" OR "', "NEAR(", "*", "a* b:", "\0", "'; DROP TABLE entries; --", "x" * 10_000]
)
async def test_a_search_text_is_never_taken_for_a_query(home: Home, store: Store, text: str) -> None:
    await store.append(opened("c1"))
    await indexed(home, 1)
    assert await calls(home.timeline(), text=text) == []


async def test_the_rows_of_a_call_and_the_row_of_a_number(home: Home, store: Store) -> None:
    await store.append(opened("c1"))
    await store.append(draft(EntryKind.LOCK))
    await store.append(closed("c1"))
    timeline = home.timeline()
    assert [entry.seq for entry in await timeline.entries("c1")] == [1, 3]
    assert [entry.kind for entry in await timeline.entries("2")] == [EntryKind.LOCK]
    assert await timeline.entries("9") == ()
    assert await timeline.entries("") == ()
    assert await timeline.entries("9" * 40) == ()


async def test_reading_leaves_no_trace_and_sees_new_rows(home: Home, store: Store) -> None:
    timeline = home.timeline(store)
    heard = []
    end = timeline.on_append(heard.append)
    await store.append(opened("c1"))
    end()
    assert heard == [1]
    assert await calls(timeline) == ["c1"]


async def test_pages_are_read_while_the_ledger_is_pruned_and_after(home: Home, store: Store) -> None:
    await store.append(opened("c1"))
    await store.append(closed("c1"))
    home.clock.seconds = 60
    await store.append(opened("c2"))
    timeline = home.timeline()
    assert await calls(timeline) == ["c2", "c1"]
    await store.prune(home.clock.now())
    assert await calls(timeline, text="read_file") == ["c2"]
    assert [item.kind for item in await timeline.page(Filters(), None, 1)] == [EntryKind.PRUNE]


async def exported(timeline: SqliteTimeline, form: str) -> bytes:
    return b"".join([part async for part in timeline.export(Filters(), form)])


async def test_an_unknown_form_of_export_is_refused(home: Home, store: Store) -> None:
    with pytest.raises(Denial):
        await exported(home.timeline(), "xml")


async def test_json_lines_hold_each_row_exactly(home: Home, store: Store) -> None:
    await store.append(opened("c1", path="a\nb\u2028"))
    await store.append(closed("c1"))
    lines = [json.loads(line) for line in (await exported(home.timeline(), "jsonl")).splitlines()]
    assert [line["seq"] for line in lines] == [1, 2]
    assert json.loads(lines[0]["body"])["arguments"]["path"] == "a\nb\u2028"


@pytest.mark.attack("P10")
@pytest.mark.parametrize(
    "subject",
    ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "a\r\n=1", "a\x1b[31m", "a\u202eb", "a\u200bb", "\x00=1"],
)
async def test_a_csv_cell_neither_calculates_nor_controls(home: Home, store: Store, subject: str) -> None:
    await store.append(draft(EntryKind.OPENED, "c1", subject=subject))
    text = (await exported(home.timeline(), "csv")).decode()
    header, row = csv.reader(io.StringIO(text, newline=""))
    cell = row[header.index("subject")]
    assert cell.isprintable()
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert len(text.splitlines()) == 2
