from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QModelIndex
from pytestqt.qtbot import QtBot

from tests.ui.core import CoreThread, MemoryPlane, MemoryTimeline, make_item, sample_items
from ztmcp_desktop.domain.ledger import EntryKind, TimelineItem
from ztmcp_desktop.ui.activity_page import ActivityPage
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.timeline_model import PAGE, Day


class Page:
    """An activity page on a core of its own."""

    def __init__(self, qtbot: QtBot, items: list[TimelineItem]) -> None:
        self.core = CoreThread()
        self.timeline = MemoryTimeline(items)
        self.bridge = Bridge(self.core.loop, self.timeline, MemoryPlane())
        self.page = ActivityPage(self.bridge)
        self.page.resize(1000, 600)
        self.bot = qtbot
        self.page.show()
        self.bridge.listen()
        self.page.load()
        qtbot.waitUntil(lambda: len(self.timeline._listeners) == 1, timeout=5000)

    def items(self) -> list[TimelineItem]:
        return [row for row in self.page.model._rows if isinstance(row, TimelineItem)]

    def until_items(self, count: int) -> None:
        self.bot.waitUntil(lambda: len(self.items()) == count, timeout=5000)

    def append(self, item: TimelineItem) -> None:
        self.core.loop.call_soon_threadsafe(self.timeline.append, item)


@pytest.fixture
def full(qtbot: QtBot) -> Iterator[Page]:
    made = Page(qtbot, sample_items())
    made.until_items(PAGE)
    yield made
    made.page.hide()
    made.core.stop()


@pytest.fixture
def empty(qtbot: QtBot) -> Iterator[Page]:
    made = Page(qtbot, [])
    yield made
    made.page.hide()
    made.core.stop()


def test_an_empty_ledger_says_what_to_do_next(empty: Page) -> None:
    empty.bot.waitUntil(empty.page._none.isVisible, timeout=5000)
    assert "Add a server" in empty.page._none_next.text()
    assert not empty.page._clear.isVisible()


def test_a_search_without_a_match_says_so_and_can_be_taken_away(full: Page) -> None:
    full.page.filters.search.setText("there is no such thing")
    full.bot.waitUntil(full.page._none.isVisible, timeout=5000)
    assert full.page._none_title.text() == "Nothing matches"
    full.page._clear.click()
    full.until_items(PAGE)


def test_only_one_page_is_read_until_the_list_asks_for_more(full: Page) -> None:
    assert [before for _, before in full.timeline.asked] == [None]
    full.page.model.fetchMore()
    full.until_items(2 * PAGE)
    assert full.timeline.asked[-1][1] == full.items()[PAGE - 1].seq


def test_no_entry_is_shown_twice_and_days_have_one_heading_each(full: Page) -> None:
    full.page.model.fetchMore()
    full.until_items(2 * PAGE)
    sequence = [item.seq for item in full.items()]
    assert sequence == sorted(set(sequence), reverse=True)
    days = [row.day for row in full.page.model._rows if isinstance(row, Day)]
    assert len(days) == len(set(days))


def test_an_open_call_keeps_its_row_when_it_ends(full: Page) -> None:
    before = [item.call for item in full.items()]
    opened = full.items()[0]
    assert opened.kind is EntryKind.OPENED
    full.append(replace(opened, seq=2000, kind=EntryKind.CLOSED, outcome="denied", code="no-answer"))
    full.bot.waitUntil(lambda: full.items()[0].outcome == "denied", timeout=5000)
    assert [item.call for item in full.items()] == before


def test_new_entries_do_not_move_what_is_read(full: Page) -> None:
    view = full.page.view
    view.verticalScrollBar().setValue(400)
    top = view.indexAt(view.viewport().rect().topLeft())
    item, y = full.page.model.row_at(top), view.visualRect(top).top()
    for seq in range(3000, 3005):
        full.append(make_item(seq))
    full.until_items(PAGE + 5)
    again = view.indexAt(view.viewport().rect().topLeft())
    assert full.page.model.row_at(again) == item
    assert view.visualRect(again).top() == y
    full.bot.waitUntil(lambda: "5 new entries" in full.page._new.text(), timeout=5000)


def test_a_chosen_entry_shows_its_steps_and_its_masked_result(full: Page) -> None:
    full.page.view.setCurrentIndex(full.page.model.index(2))
    full.bot.waitUntil(lambda: "Consent" in details(full), timeout=5000)
    assert "Token checked" in details(full)
    assert "<EMAIL_1>" in details(full)
    assert f"{2:064x}" in details(full)


def details(full: Page) -> str:
    from PySide6.QtWidgets import QLabel

    from ztmcp_desktop.ui.plain_view import PlainView

    pane = full.page.details
    texts = [label.text() for label in pane.findChildren(QLabel)]
    texts += [view.accessibleDescription() for view in pane.findChildren(PlainView)]
    return "\n".join(texts)


def test_a_filter_chip_asks_for_that_verdict_alone_and_is_removable(full: Page) -> None:
    full.page.filters.set_chip("Verdict", "denied")
    full.bot.waitUntil(lambda: {item.outcome for item in full.items()} == {"denied"}, timeout=5000)
    full.page.filters._chips["Verdict"].click()
    full.bot.waitUntil(lambda: "allowed" in {item.outcome for item in full.items()}, timeout=5000)


def test_an_answer_to_an_older_search_is_dropped(full: Page) -> None:
    model = full.page.model
    stale = model._generation
    model.reload()
    model._first(stale, ())
    assert full.items() != []


def test_verify_says_that_the_chain_holds(full: Page) -> None:
    full.page._verify.click()
    full.bot.waitUntil(lambda: "unbroken" in full.page._verdict.text(), timeout=5000)


def test_escape_takes_the_choice_away(full: Page) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    full.page.view.setCurrentIndex(full.page.model.index(2))
    QTest.keyClick(full.page.view, Qt.Key.Key_Escape)
    assert full.page.view.currentIndex() == QModelIndex()
