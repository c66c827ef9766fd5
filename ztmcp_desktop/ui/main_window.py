"""The window at home: navigation, pages, and what is wrong."""

from collections.abc import Mapping

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QStackedWidget, QVBoxLayout, QWidget

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.activity_page import ActivityPage
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.clients_page import ClientsPage
from ztmcp_desktop.ui.confirm_button import ConfirmButton
from ztmcp_desktop.ui.help_page import HelpPage
from ztmcp_desktop.ui.page import MessageBar
from ztmcp_desktop.ui.parts import button, clear, column, label
from ztmcp_desktop.ui.rules_page import RulesPage
from ztmcp_desktop.ui.secrets_page import SecretsPage
from ztmcp_desktop.ui.servers_page import ServersPage
from ztmcp_desktop.ui.settings_page import SettingsPage

Page = ActivityPage | ServersPage | ClientsPage | RulesPage | SecretsPage | SettingsPage | HelpPage
WORK_PAGES = ("Activity", "Servers", "Clients", "Rules", "Secrets")
OWN_PAGES = ("Settings", "Help")
PAGES = (*WORK_PAGES, *OWN_PAGES)
STATUS_MS = 2000
# The window, and what the window manager draws around it.
WANTED, LEAST, FRAME = QSize(1120, 720), QSize(640, 420), QSize(16, 48)
NAVIGATION_WIDTH = 184
_LOCK = ("Lock everything", "Press again to lock")
_UNLOCK = ("Unlock", "Press again to unlock")


def problems_of(status: JsonObject) -> tuple[tuple[str, str], ...]:
    """(kind, sentence) for everything that is wrong: what, what it means for safety, what to do."""
    found: list[tuple[str, str]] = []
    if status.get("locked"):
        found.append(("danger", "Everything is locked: every call is refused until you unlock."))
    keychain = status.get("keychain") or {}
    if keychain and not keychain.get("works"):
        what = "No secret can be read from the keychain, so the calls that need one are refused."
        found.append(("danger", _with_reason(what, keychain)))
    sandbox = status.get("sandbox") or {}
    if sandbox and not sandbox.get("works"):
        what = "Local servers cannot be confined on this machine, so none of them starts."
        found.append(("danger", _with_reason(what, sandbox)))
    elif sandbox.get("missing"):
        limits = "; ".join(str(each) for each in sandbox["missing"])
        found.append(("warning", f"Confined servers run, but this machine does not enforce: {limits}."))
    return tuple((kind, visible(text)) for kind, text in found)


def _with_reason(what: str, part: JsonObject) -> str:
    """The sentence, why it is so, and how to mend it."""
    said = [str(part[key]).strip() for key in ("reason", "mend") if part.get(key)]
    return " ".join([what, *(text if text.endswith(".") else f"{text}." for text in said)])


class MainWindow(QWidget):
    """Emits `status_changed(status)`, `closed` when the person closes it, and `leave` to end the application."""

    status_changed = Signal(object)
    closed = Signal()
    leave = Signal()

    def __init__(self, bridge: Bridge, help_texts: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._locked = False
        self._problems: tuple[tuple[str, str], ...] = ()
        self.setObjectName("main")
        self.setWindowTitle("ztmcp")
        room = QGuiApplication.primaryScreen().availableGeometry().size() - FRAME
        self.setMinimumSize(LEAST.boundedTo(room))
        self.resize(WANTED.boundedTo(room))
        self.activity = ActivityPage(bridge)
        self.servers = ServersPage(bridge)
        self.clients = ClientsPage(bridge)
        self.rules = RulesPage(bridge)
        self.secrets = SecretsPage(bridge)
        self.settings = SettingsPage(bridge)
        self.help = HelpPage(help_texts)
        pages: tuple[Page, ...] = (
            self.activity,
            self.servers,
            self.clients,
            self.rules,
            self.secrets,
            self.settings,
            self.help,
        )
        self._pages = dict(zip(PAGES, pages, strict=True))
        self._stack = QStackedWidget()
        self._navigation = QListWidget()
        self._wrong = QVBoxLayout()
        self._wrong.setContentsMargins(18, 12, 18, 0)
        self._state = label(muted=True)
        self._state.setContentsMargins(20, 0, 12, 0)
        self._lock = ConfirmButton(*_LOCK, self._toggle_lock)
        self._status_timer = QTimer(self)
        self._status_timer.setInterval(STATUS_MS)
        self._status_timer.timeout.connect(self.refresh_status)
        self._build()

    def _build(self) -> None:
        self._navigation.setObjectName("navigation")
        self._navigation.setAccessibleName("pages")
        self._navigation.setFixedWidth(NAVIGATION_WIDTH)
        self._navigation.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for name, page in self._pages.items():
            item = QListWidgetItem(name)
            item.setSizeHint(QSize(NAVIGATION_WIDTH, self.fontMetrics().height() + 22))
            self._navigation.addItem(item)
            self._stack.addWidget(page)
        self._navigation.currentRowChanged.connect(self._turn_to)
        self._lock.setObjectName("main.lock")
        leave = button("Quit", self.leave.emit, name="main.quit")
        side = column(label("ztmcp", bold=True, factor=1.3), spacing=8)
        side.setContentsMargins(20, 18, 12, 4)
        foot = column(self._lock, leave, spacing=8)
        foot.setContentsMargins(12, 4, 12, 14)
        left = column(side, self._navigation, self._state, foot, spacing=8)
        left.setStretch(1, 1)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addLayout(self._wrong)
        right.addWidget(self._stack, 1)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(left)
        whole.addLayout(right, 1)
        for number, name in enumerate(PAGES, 1):
            QShortcut(QKeySequence(f"Ctrl+{number}"), self, lambda name=name: self.show_page(name))
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self._find)
        QShortcut(QKeySequence(QKeySequence.StandardKey.HelpContents), self, lambda: self.show_page("Help"))
        self._navigation.setCurrentRow(0)

    def start(self) -> None:
        """The core is ready: read everything."""
        self._bridge.listen()
        for page in self._pages.values():
            page.load()
        self.refresh_status()
        self._status_timer.start()

    def show_page(self, name: str) -> None:
        """Show this page and bring the window to the front."""
        self._navigation.setCurrentRow(PAGES.index(name) if name in PAGES else 0)
        self.raise_window()

    def raise_window(self) -> None:
        """Show the window, in front."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def _turn_to(self, at: int) -> None:
        self._stack.setCurrentIndex(at)
        page = self._pages[PAGES[at]]
        if page is not self.activity and self._status_timer.isActive():
            page.load()

    def _find(self) -> None:
        if self._stack.currentWidget() is self.help:
            self.help.search.setFocus()
            return
        self.show_page("Activity")
        self.activity.filters.search.setFocus()

    def refresh_status(self) -> None:
        """Ask the core how things are."""
        self._bridge.ask("status", {}, self._show_status, self._no_status)

    def _show_status(self, status: JsonObject) -> None:
        self._locked = bool(status.get("locked"))
        self._show_problems(problems_of(status))
        sandbox = status.get("sandbox") or {}
        self.servers.know_missing(tuple(str(each) for each in sandbox.get("missing") or ()))
        servers = tuple(str(each.get("name")) for each in status.get("servers") or ())
        self.activity.filters.know(tuple(str(name) for name in status.get("clients") or ()), servers)
        self._lock.relabel(*(_UNLOCK if self._locked else _LOCK))
        port = status.get("port")
        self._state.setText("Locked" if self._locked else f"Watching\n127.0.0.1:{port}" if port else "Starting …")
        self.status_changed.emit(status)

    def _no_status(self, why: str) -> None:
        self._show_problems((("danger", why),))
        self._state.setText("Not running")
        self.status_changed.emit({"running": False})

    def _show_problems(self, problems: tuple[tuple[str, str], ...]) -> None:
        if problems == self._problems:
            return
        self._problems = problems
        clear(self._wrong)
        for kind, text in problems:
            bar = MessageBar()
            bar.say(text, kind)
            self._wrong.addWidget(bar)

    def say(self, text: str) -> None:
        """Show a message about the window itself."""
        bar = MessageBar()
        bar.say(text, "danger")
        self._wrong.addWidget(bar)

    def toggle_lock(self) -> None:
        """Lock at once, or show the window to unlock: unlocking takes two presses there."""
        if self._locked:
            self.raise_window()
        else:
            self._toggle_lock()

    def _toggle_lock(self) -> None:
        verb = "unlock" if self._locked else "lock"
        self._bridge.ask(verb, {}, lambda _done: self.refresh_status(), self.say)

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        self.closed.emit()
