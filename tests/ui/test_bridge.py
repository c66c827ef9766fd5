from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from tests.ui.core import CoreThread, MemoryPlane, MemoryTimeline
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.ui.bridge import MAX_PENDING, NO_CORE, Bridge, failure_sentence


@pytest.fixture
def core() -> Iterator[CoreThread]:
    made = CoreThread()
    yield made
    if not made.loop.is_closed():
        made.stop()


def test_a_core_that_has_stopped_is_said_and_nothing_waits(core: CoreThread, qtbot: QtBot) -> None:
    bridge = Bridge(core.loop, MemoryTimeline([]), MemoryPlane())
    core.stop()
    failures: list[str] = []
    bridge.ask("lock", {}, lambda _done: failures.append("done"), failures.append)
    assert failures == [NO_CORE]


def test_more_than_the_limit_of_requests_is_refused_and_not_queued(core: CoreThread, qtbot: QtBot) -> None:
    plane = MemoryPlane()
    bridge = Bridge(core.loop, MemoryTimeline([]), plane)
    failures: list[str] = []
    for _ in range(MAX_PENDING + 1):
        bridge.ask("lock", {}, lambda _done: None, failures.append)
    assert failures == ["The gateway is busy. Try again in a moment."]
    qtbot.waitUntil(lambda: bridge._pending == 0, timeout=5000)
    assert len(plane.asked) == MAX_PENDING


def test_a_denial_is_told_and_the_text_of_an_unexpected_error_is_not() -> None:
    assert failure_sentence(Denial(Code.NOT_PERMITTED, "there is no server x")) == "There is no server x."
    assert "hunter2" not in failure_sentence(ValueError("password hunter2"))


def test_results_arrive_on_the_thread_of_the_window(core: CoreThread, qtbot: QtBot) -> None:
    import threading

    bridge = Bridge(core.loop, MemoryTimeline([]), MemoryPlane())
    threads: list[int] = []
    bridge.ask("status", {}, lambda _done: threads.append(threading.get_ident()), lambda _why: None)
    qtbot.waitUntil(lambda: threads == [threading.get_ident()], timeout=5000)
