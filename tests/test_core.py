import asyncio
import sys
import threading

import pytest

from ztmcp_desktop.clock import SystemClock
from ztmcp_desktop.core import Core


def test_work_runs_in_a_thread_of_its_own() -> None:
    core = Core(lambda: None)
    core.start()

    async def where() -> int:
        return threading.get_ident()

    assert core.run(where(), 5) != threading.get_ident()
    core.stop()


def test_work_that_takes_too_long_is_cancelled() -> None:
    core = Core(lambda: None)
    core.start()
    ended = threading.Event()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        core.run(for_ever(), 0.05)
    assert ended.wait(5)
    core.stop()


def test_stopping_cancels_what_is_left_and_is_no_failure() -> None:
    failures: list[str] = []
    core = Core(lambda: failures.append("failed"))
    core.start()
    started, ended = threading.Event(), threading.Event()

    async def for_ever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    core.submit(for_ever())
    assert started.wait(5)
    core.stop()
    assert ended.is_set()
    assert failures == []


def test_a_core_that_ends_by_itself_is_a_failure() -> None:
    failed = threading.Event()
    core = Core(failed.set)
    core.start()
    core.loop.call_soon_threadsafe(core.loop.stop)
    assert failed.wait(5)


def test_children_are_spawned_from_the_cores_thread() -> None:
    core = Core(lambda: None)
    core.start()

    async def child() -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('there')", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out

    assert core.run(child(), 20) == b"there\n"
    core.stop()


async def test_the_clock_sleeps_as_long_as_it_says() -> None:
    clock = SystemClock()
    began_s = clock.monotonic()
    await clock.sleep(0.05)
    assert clock.monotonic() - began_s >= 0.05
    assert clock.now().utcoffset() is not None
