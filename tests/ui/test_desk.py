import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from tests.ui.core import CoreThread
from tests.ui.samples import make_question
from ztmcp_desktop.domain.consent import Answer, DeskEvent, Gone, Scope, Shown, Verdict, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import CallId, Digest
from ztmcp_desktop.ui.desk import MAX_EVENTS, DeskTicket, QtDesk

YES = Answer(verdict=Verdict.ALLOW, scope=Scope.ONCE, digest=Digest("digest-of-q1"))
QUESTION = CallId("q1")
MakeDesk = Callable[..., QtDesk]


@pytest.fixture
def core() -> Iterator[CoreThread]:
    made = CoreThread()
    yield made
    made.stop()


@pytest.fixture
def make_desk(core: CoreThread, qtbot: QtBot) -> Iterator[Callable[..., QtDesk]]:
    # Kept until the core has stopped, so that no Qt object is freed on the core's thread.
    made: list[QtDesk] = []

    def make(**settings: Any) -> QtDesk:
        made.append(QtDesk(core.loop, **settings))
        return made[-1]

    yield make
    for desk in made:
        desk.detach()
    core.run(asyncio.sleep(0))
    for desk in made:
        desk.signals.deleteLater()


class Turned:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def open_one(core: CoreThread, desk: QtDesk, name: str = "q1") -> DeskTicket:
    async def work() -> DeskTicket:
        return desk.open(make_question(name))

    ticket = core.run(work())
    assert isinstance(ticket, DeskTicket)
    return ticket


def next_event(core: CoreThread, ticket: DeskTicket) -> DeskEvent:
    event: DeskEvent = core.run(asyncio.wait_for(ticket.event(), 8))
    return event


def hold(qtbot: QtBot, met: Callable[[], bool]) -> None:
    qtbot.waitUntil(met, timeout=8000)


def test_before_the_window_is_there_nobody_is_asked(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk()
    with pytest.raises(Denial) as refused:
        open_one(core, desk)
    assert refused.value.code is Code.NOBODY_THERE


def test_after_the_window_has_left_nobody_is_asked_and_open_questions_are_gone(
    core: CoreThread, qtbot: QtBot, make_desk: MakeDesk
) -> None:
    desk = make_desk()
    desk.attach()
    ticket = open_one(core, desk)
    desk.detach()
    assert next_event(core, ticket) == Gone()
    with pytest.raises(Denial):
        open_one(core, desk, "q2")


def test_more_questions_than_the_limit_are_refused(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk(max_open=2)
    desk.attach()
    open_one(core, desk, "q1")
    open_one(core, desk, "q2")
    with pytest.raises(Denial) as refused:
        open_one(core, desk, "q3")
    assert refused.value.code is Code.NO_ANSWER


@pytest.mark.attack("C12")
def test_a_window_that_is_frozen_for_three_seconds_answers_nobody_there(
    core: CoreThread, qtbot: QtBot, make_desk: MakeDesk
) -> None:
    desk = make_desk()
    desk.attach()
    ticket = open_one(core, desk)
    # Qt's thread is this one: it processes nothing while the core waits.
    before = time.monotonic()
    assert next_event(core, ticket) == Gone()
    assert 2.5 < time.monotonic() - before < 6


@pytest.mark.attack("C12")
def test_an_answer_that_was_queued_while_the_window_stood_still_is_a_no(
    core: CoreThread, qtbot: QtBot, make_desk: MakeDesk
) -> None:
    clock = Turned()
    desk = make_desk(monotonic=clock)
    desk.attach()
    ticket = open_one(core, desk)
    clock.now_s += 3.5
    desk.report(QUESTION, YES)
    assert next_event(core, ticket) == Gone()
    assert ticket.over


@pytest.mark.attack("C12")
def test_a_beat_after_a_gap_ends_every_open_question_before_the_click_that_follows(
    core: CoreThread, qtbot: QtBot, make_desk: MakeDesk
) -> None:
    clock = Turned()
    desk = make_desk(monotonic=clock)
    desk.attach()
    ticket = open_one(core, desk)
    clock.now_s += 60
    desk._beat()
    desk.report(QUESTION, YES)
    assert next_event(core, ticket) == Gone()


def test_a_fault_in_the_window_ends_every_open_question(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.attach()
    tickets = [open_one(core, desk, name) for name in ("q1", "q2")]
    desk.fail()
    assert [next_event(core, ticket) for ticket in tickets] == [Gone(), Gone()]


def test_what_comes_after_a_withdrawal_is_not_an_answer(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk()
    closed: list[tuple[str, str]] = []
    desk.signals.closed.connect(lambda name, why: closed.append((name, why)), Qt.ConnectionType.QueuedConnection)
    desk.attach()
    ticket = open_one(core, desk)
    core.loop.call_soon_threadsafe(ticket.withdraw, Withdrawal.CLIENT_GAVE_UP)
    desk.report(QUESTION, YES)
    assert next_event(core, ticket) == Gone()
    hold(qtbot, lambda: closed == [("q1", "the client gave up")])


def test_a_flood_of_events_ends_the_question(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.attach()
    ticket = open_one(core, desk)
    for _ in range(MAX_EVENTS + 1):
        desk.report(QUESTION, Shown())
    assert next_event(core, ticket) == Gone()


def test_an_answer_comes_back_once_and_in_order(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk()
    opened: list[object] = []
    desk.signals.opened.connect(opened.append, Qt.ConnectionType.QueuedConnection)
    desk.attach()
    ticket = open_one(core, desk)
    hold(qtbot, lambda: opened == [make_question("q1")])
    desk.report(QUESTION, Shown())
    desk.report(QUESTION, YES)
    desk.report(QUESTION, YES)
    assert next_event(core, ticket) == Shown()
    assert next_event(core, ticket) == YES
    assert next_event(core, ticket) == Gone()
    assert desk.open_questions == 0


def test_a_window_that_beats_keeps_a_question_open(core: CoreThread, qtbot: QtBot, make_desk: MakeDesk) -> None:
    desk = make_desk()
    desk.attach()
    ticket = open_one(core, desk)
    end = time.monotonic() + 4.5
    hold(qtbot, lambda: time.monotonic() > end)
    assert not ticket.over
    desk.detach()
