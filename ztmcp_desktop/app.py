"""The composition root: starts the core and the gateway in it, with a window or without, and stops them."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ztmcp_desktop.control.assembly import settings_of
from ztmcp_desktop.control.late import Late
from ztmcp_desktop.control.ownership import Ownership
from ztmcp_desktop.control.parts import Front
from ztmcp_desktop.control.resources import help_texts
from ztmcp_desktop.control.serving import Serving
from ztmcp_desktop.control.socket_client import NoGateway, ask_gateway
from ztmcp_desktop.core import Core
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.pipeline.desk import NobodyAtTheDesk
from ztmcp_desktop.ports import ConsentDesk
from ztmcp_desktop.settings import DeskKind, Home, Settings, find_home
from ztmcp_desktop.vault.folders import prepare

if TYPE_CHECKING:
    from ztmcp_desktop.ui.application import Window, WindowParts
    from ztmcp_desktop.ui.end_signals import EndSignals

DeskMaker = Callable[[asyncio.AbstractEventLoop], ConsentDesk]
ShowPage = Callable[[str], None]
DONE, FAILED = 0, 1
START_S = 60.0
STOP_S = 5.0
SIGNAL_S = 0.25
MAX_LOG_BYTES = 1024 * 1024
logger = logging.getLogger(__name__)


def run_headless(port: int | None, terminal: DeskMaker, tell_page: ShowPage) -> int:
    """The gateway alone, until a signal ends it; the exit status.

    `terminal` makes the desk that settings may name, and `tell_page` tells the person there of a page to open.
    """
    home = find_home()
    try:
        with _owned(home) as owned:
            if not owned:
                return _fail("a gateway runs already for this home; stop it first, or see: ztmcp status")
            return _serve_headless(home, settings_of(home, port), terminal, tell_page)
    except Denial as denial:
        return _fail(denial.reason)
    except TimeoutError:
        return _fail("the gateway did not start or stop in time; see the log")
    except OSError as error:
        return _fail(f"{error.filename or 'the home'}: {error.strerror or error}")


def _serve_headless(home: Home, settings: Settings, terminal: DeskMaker, tell_page: ShowPage) -> int:
    over, failed = threading.Event(), threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    def fail() -> None:
        failed.set()
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    core = Core(fail)
    core.start()
    there = settings.headless_desk is DeskKind.TERMINAL
    desk = terminal(core.loop) if there else NobodyAtTheDesk()
    front = Front(open_page=tell_page if there else None)
    try:
        serving = core.run(Serving.start(home, settings, desk, front, Path.home()), START_S)
        print(json.dumps({"port": settings.port, "pid": os.getpid()}), flush=True)  # noqa: T201 - the contract's line
        # With a bound: the system may hand the signal to another thread, and then nothing wakes this one.
        while not over.wait(SIGNAL_S):
            continue
        if failed.is_set():
            return _fail("the core ended by itself; see the log, and start again")
        core.run(serving.stop(), STOP_S)
    finally:
        core.stop()
    return DONE


def run_with_window(port: int | None) -> int:
    """The tray application with the gateway inside; a second start raises the first one's window."""
    if not _has_display():
        return _fail("there is no display; start the gateway alone with: ztmcp run --headless")
    home = find_home()
    try:
        with _owned(home) as owned:
            if not owned:
                ask_gateway(home, "raise", {})
                return DONE
            return _serve_window(home, settings_of(home, port))
    except NoGateway:
        return _fail("another ztmcp command is using this home; wait for it and start again")
    except Denial as denial:
        return _fail(denial.reason)
    except OSError as error:
        return _fail(f"{error.filename or 'the home'}: {error.strerror or error}")


def _serve_window(home: Home, settings: Settings) -> int:
    # Qt comes late, so that a gateway without a window never loads it; the SDK comes later still, after the painting.
    from ztmcp_desktop.ui import qt

    qt.load()
    from ztmcp_desktop.ui.application import make_application, run_window

    make_application()
    session = _WindowSession(home, settings)
    try:
        status = run_window(session.window_parts(), session.begin)
    finally:
        session.end()
    return _fail(session.reason) if session.reason else status


class _WindowSession:
    """The core and its gateway, for as long as the window is there."""

    def __init__(self, home: Home, settings: Settings) -> None:
        from ztmcp_desktop.ui.desk import QtDesk

        self.reason = ""
        self._home, self._settings = home, settings
        self._core = Core(lambda: self._give_up("the core ended by itself; see the log, and start again"))
        self._core.start()
        self._desk = QtDesk(self._core.loop, max_open=settings.max_open_questions)
        self._late = Late()
        self._window: Window | None = None
        self._starting: Future[None] | None = None
        self._serving: Serving | None = None
        self._signals: EndSignals | None = None

    def window_parts(self) -> "WindowParts":
        from ztmcp_desktop.ui.application import WindowParts

        return WindowParts(
            loop=self._core.loop,
            desk=self._desk,
            timeline=self._late,
            plane=self._late,
            settings=self._settings,
            help_texts=help_texts(),
            on_quit=lambda: None,
        )

    def begin(self, window: "Window") -> None:
        """Start the gateway behind a window that is painted already."""
        from PySide6.QtCore import Qt

        from ztmcp_desktop.ui.end_signals import EndSignals

        # Not the application's `quit`: windows that go to the tray when they are closed would stop it.
        window.core_failed.connect(window.leave, Qt.ConnectionType.QueuedConnection)
        self._window = window
        if self.reason:
            window.core_failed.emit(self.reason)
        self._signals = EndSignals(window.leave, window)
        self._starting = self._core.submit(self._start(window))

    async def _start(self, window: "Window") -> None:
        front = Front(
            screen=True,
            open_questions=lambda: self._desk.open_questions,
            raise_window=window.raise_window.emit,
            open_page=window.open_page.emit,
        )
        try:
            serving = await Serving.start(self._home, self._settings, self._desk, front, Path.home())
        except Denial as denial:
            self._give_up(denial.reason)
            return
        except Exception as fault:  # noqa: BLE001 - the root of the start: a window without a gateway helps nobody
            self._give_up(f"the gateway did not start ({type(fault).__name__}); run: ztmcp doctor")
            return
        self._serving = serving
        self._late.bind(serving.parts.timeline, serving.parts.plane)
        window.core_ready.emit()
        if serving.parts.rules.drift():
            with contextlib.suppress(Denial):
                await serving.parts.outside.ask("reload", {})

    def _give_up(self, reason: str) -> None:
        """Nothing runs without the core: say why, and leave. From any thread."""
        self.reason = reason
        if self._window is not None:
            self._window.core_failed.emit(reason)

    def end(self) -> None:
        """Stop the gateway, started or starting, and the core."""
        try:
            if self._starting is not None:
                self._starting.cancel()
            if self._serving is not None:
                self._core.run(self._serving.stop(), STOP_S)
        except TimeoutError:
            logger.warning("the gateway did not stop within %s s", STOP_S)
        finally:
            self._core.stop()
            if self._signals is not None:
                self._signals.close()


def _has_display() -> bool:
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


@contextlib.contextmanager
def _owned(home: Home) -> Iterator[bool]:
    """Whether this process holds the home; it does until the end of the block."""
    prepare(home)
    _log_to(home.logs)
    ownership = Ownership(home)
    owned = ownership.take()
    try:
        yield owned
    finally:
        ownership.release()


def _log_to(folder: Path) -> None:
    """Warnings and worse go to a file of bounded size; ids only, by the rule of the code."""
    handler = RotatingFileHandler(folder / "ztmcp.log", maxBytes=MAX_LOG_BYTES, backupCount=1, encoding="utf-8")
    (folder / "ztmcp.log").chmod(0o600)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)


def _fail(reason: str) -> int:
    print(f"ztmcp: {reason}", file=sys.stderr)  # noqa: T201 - the one line of a failure
    return FAILED
