"""Builds the window around a core that runs on its own thread, and owns Qt's loop."""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication

from ztmcp_desktop.domain.consent import DeskEvent
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.ports import ControlPlane, Timeline
from ztmcp_desktop.settings import Settings
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.browser import open_in_browser
from ztmcp_desktop.ui.consent_dialog import ConsentDialog
from ztmcp_desktop.ui.desk import QtDesk
from ztmcp_desktop.ui.main_window import OWN_PAGES, WORK_PAGES, MainWindow
from ztmcp_desktop.ui.screen_lock import Screen, ScreenLock
from ztmcp_desktop.ui.shapes import TrayState, tray_icon
from ztmcp_desktop.ui.theme import dress, theme_of
from ztmcp_desktop.ui.tray import Tray, TrayActions

log = logging.getLogger(__name__)
FAULT = (
    "Something in the window failed ({name}). Every open question was refused. "
    "If it happens again, quit and start ztmcp."
)
NO_BROWSER = "No browser opened for the login. Log in from a terminal: ztmcp server login NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowParts:
    """What the window stands on. `on_quit` is called once, on Qt's thread, after the desk was left.

    `help_texts` are the pages of the help in their order, file name to Markdown.
    """

    loop: asyncio.AbstractEventLoop
    desk: QtDesk
    timeline: Timeline
    plane: ControlPlane
    settings: Settings
    help_texts: Mapping[str, str]
    on_quit: Callable[[], None]


def make_application() -> QApplication:
    """The one application object, dressed after the system; to be made before a `QtDesk`."""
    there = QApplication.instance()
    application = there if isinstance(there, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("ztmcp")
    application.setApplicationDisplayName("")
    application.setDesktopFileName("ztmcp")
    application.setQuitOnLastWindowClosed(False)
    dress(application, application.styleHints().colorScheme())
    return application


class Window(QObject):
    """Everything that a person sees, wired.

    `core_ready`, `core_failed`, `raise_window` and `open_page` come from any thread.

    `left` says that the person, or the system, ended it.
    """

    left = Signal()
    core_ready = Signal()
    core_failed = Signal(str)
    raise_window = Signal()
    open_page = Signal(str)

    def __init__(self, application: QApplication, parts: WindowParts) -> None:
        super().__init__()
        self._application = application
        self._parts = parts
        self._wrong = False
        self._locked = False
        self._left = False
        self.bridge = Bridge(parts.loop, parts.timeline, parts.plane)
        self.main = MainWindow(self.bridge, parts.help_texts)
        self.dialog = ConsentDialog(parts.settings.settle_ms)
        self.lock = ScreenLock(self)
        self.tray = Tray(
            WORK_PAGES,
            OWN_PAGES,
            TrayActions(
                show_page=self.main.show_page,
                show_question=self.dialog.raise_question,
                toggle_lock=self.main.toggle_lock,
                leave=self.leave,
            ),
            self,
        )
        self._connect()

    def _connect(self) -> None:
        queued = Qt.ConnectionType.QueuedConnection
        desk = self._parts.desk
        desk.signals.opened.connect(self.dialog.add, queued)
        desk.signals.closed.connect(self.dialog.remove, queued)
        self.dialog.event_of.connect(self._report)
        self.dialog.count_changed.connect(lambda _count: self._draw_tray())
        self.main.status_changed.connect(self._on_status)
        self.main.closed.connect(self._on_closed)
        self.main.leave.connect(self.leave)
        self.core_ready.connect(self.main.start, queued)
        self.core_failed.connect(self.main.say, queued)
        self.raise_window.connect(self._raise, queued)
        self.open_page.connect(self._open, queued)
        self.lock.locked.connect(lambda active: self.dialog.set_screen(Screen.LOCKED if active else Screen.OPEN))
        self._application.styleHints().colorSchemeChanged.connect(self._dress)

    def appear(self) -> None:
        """Paint the first window and begin to answer questions."""
        self._application.setWindowIcon(tray_icon(TrayState.WATCHING, 0, theme_of(self._application.palette())))
        self.tray.appear()
        self.main.show()
        self._parts.desk.attach()

    def leave(self) -> None:
        """End: open questions are refused first, then the core is told, then `left` says so."""
        if self._left:
            return
        self._left = True
        self._parts.desk.detach()
        self.dialog.hide()
        self.main.hide()
        self.tray.icon.hide()
        QTimer.singleShot(0, self._finish)

    def _finish(self) -> None:
        self._parts.on_quit()
        self.left.emit()

    def fault(self, name: str) -> None:
        """A slot failed: nobody can be sure what the screen shows, so every open question is refused."""
        self._wrong = True
        self._parts.desk.fail()
        self._draw_tray()
        self.main.say(FAULT.format(name=name))

    def _report(self, question: str, event: DeskEvent) -> None:
        self._parts.desk.report(CallId(question), event)

    def _on_status(self, status: JsonObject) -> None:
        parts = (status.get("keychain") or {}, status.get("sandbox") or {})
        self._wrong = status.get("running") is False or any(part.get("works") is False for part in parts)
        self._locked = bool(status.get("locked"))
        self._draw_tray()

    def _draw_tray(self) -> None:
        count = self.dialog.count
        if self._locked:
            state = TrayState.LOCKED
        elif count:
            state = TrayState.ASKING
        else:
            state = TrayState.WRONG if self._wrong else TrayState.WATCHING
        self.tray.show_state(state, count)

    def _on_closed(self) -> None:
        """With a tray the window goes there; without one it is the home, and is only made small."""
        if self.tray.icon.isVisible():
            self.main.hide()
        else:
            self.main.showMinimized()

    def _raise(self) -> None:
        self.main.raise_window()
        self.dialog.raise_question()

    def _open(self, page: str) -> None:
        if not open_in_browser(page):
            self.main.say(NO_BROWSER)

    def _dress(self, scheme: Qt.ColorScheme) -> None:
        dress(self._application, scheme)
        self.tray.redraw()


def catch_faults(window: Window) -> None:
    """Let no exception in a slot pass unseen: it is logged by its type, and refuses what is open."""

    def on_exception(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.leave()
            return
        where = trace
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_qualname}:{where.tb_lineno}" if where is not None else "?"
        log.error("a slot of the window failed: %s in %s", kind.__name__, place)
        window.fault(kind.__name__)

    sys.excepthook = on_exception


def run_window(parts: WindowParts, on_window: Callable[[Window], None] | None = None) -> int:
    """Show the window until the person quits. `make_application` comes first, the core may start after.

    `on_window` gets the window before Qt's loop runs, to keep for `core_ready.emit()`, which makes the pages load,
    and `raise_window.emit()`, for a second start.
    """
    application = make_application()
    window = Window(application, parts)
    catch_faults(window)
    # Not `quit`, which asks each window that is shown by then to close, and gives up at the first that does not.
    window.left.connect(lambda: application.exit(0))
    window.appear()
    application.processEvents()
    if on_window is not None:
        on_window(window)
    return application.exec()
