"""The core's own thread, with one asyncio loop that lives as long as the gateway."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
START_S = 10.0
STOP_S = 5.0
logger = logging.getLogger(__name__)


class Core:
    """Runs coroutines on one loop in one thread. Servers are spawned from it, so they die with it and not before.

    `on_failure` is called from the thread when its loop ends although nobody stopped it.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self.loop = _new_loop()
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ztmcp-core", daemon=True)

    def start(self) -> None:
        """Begin; returns when the loop runs.

        Raises:
            RuntimeError: it does not run within 10 s.
        """
        running = threading.Event()
        self.loop.call_soon_threadsafe(running.set)
        self._thread.start()
        if not running.wait(START_S):
            raise RuntimeError("the core's thread did not start")

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run `work` on the core's loop; the future is for another thread to wait on."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """The result of `work`, waited for from another thread; cancelled when `timeout_s` are over.

        Raises:
            TimeoutError: it took longer.
        """
        future = self.submit(work)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    def stop(self) -> None:
        """Cancel what is left and end the thread, within 5 s. Harmless when it was never started or is over."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        except Exception as fault:  # noqa: BLE001 - the root of a thread
            logger.critical("the core ended: %s", type(fault).__name__)
        finally:
            self._wind_up()
            if not self._stopping.is_set():
                self._on_failure()

    def _wind_up(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=STOP_S / 2))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop where there is one: it halves what a call costs."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
