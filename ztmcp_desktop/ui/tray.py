"""The icon in the tray and its menu."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from ztmcp_desktop.ui.shapes import TrayState, tray_icon
from ztmcp_desktop.ui.theme import theme_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrayActions:
    """What the menu does. `show_page` gets the title of a page."""

    show_page: Callable[[str], None]
    show_question: Callable[[], None]
    toggle_lock: Callable[[], None]
    leave: Callable[[], None]


class Tray(QObject):
    """Watching, asking with a count, paused, locked, or something is wrong. Nothing depends on it."""

    def __init__(
        self, work: tuple[str, ...], own: tuple[str, ...], actions: TrayActions, parent: QObject | None = None
    ) -> None:
        """`work` are the pages of what ztmcp watches, above the lock; `own` those of ztmcp itself, below it."""
        super().__init__(parent)
        self._actions = actions
        self._shown: tuple[TrayState, int] | None = None
        self.menu = QMenu()
        self.question = self._entry("Show the question", actions.show_question, "tray.question")
        self.question.setVisible(False)
        self.menu.addSeparator()
        self._page_entries(work)
        self.menu.addSeparator()
        self.lock = self._entry("Lock everything", actions.toggle_lock, "tray.lock")
        self.menu.addSeparator()
        self._page_entries(own)
        self.menu.addSeparator()
        self._entry("Quit", actions.leave, "tray.quit")
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self.show_state(TrayState.WATCHING, 0)

    def _page_entries(self, pages: tuple[str, ...]) -> None:
        for page in pages:
            self._entry(page, partial(self._actions.show_page, page), f"tray.{page.lower()}")

    def _entry(self, text: str, do: Callable[[], None], name: str) -> QAction:
        action = QAction(text, self.menu)
        action.setObjectName(name)
        action.triggered.connect(lambda _checked: do())
        self.menu.addAction(action)
        return action

    def appear(self) -> bool:
        """Show the icon; False where this desktop has no tray."""
        if not QSystemTrayIcon.isSystemTrayAvailable():
            return False
        self.icon.show()
        return True

    def show_state(self, state: TrayState, count: int) -> None:
        """Draw the state; the tooltip says it in words."""
        if self._shown == (state, count):
            return
        self._shown = (state, count)
        self.icon.setIcon(tray_icon(state, count, theme_of(QGuiApplication.palette())))
        words = f"{count} waiting for your answer" if state is TrayState.ASKING else state.value
        self.icon.setToolTip(f"ztmcp: {words}")
        self.lock.setText("Unlock …" if state is TrayState.LOCKED else "Lock everything")
        self.question.setVisible(count > 0)

    def redraw(self) -> None:
        """Draw it again, in the colours that hold now."""
        if self._shown is not None:
            shown, self._shown = self._shown, None
            self.show_state(*shown)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in {QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick}:
            if self.question.isVisible():
                self._actions.show_question()
            else:
                self._actions.show_page("Activity")
