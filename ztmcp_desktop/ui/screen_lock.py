"""Hears from the desktop whether the screen is locked."""

from enum import Enum

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection

_SLOT = SLOT("on_active(bool)")
_SAVERS = (
    ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver"),
    ("org.gnome.ScreenSaver", "/org/gnome/ScreenSaver", "org.gnome.ScreenSaver"),
)


class Screen(Enum):
    """Whether the screen is locked, so that nobody can see the question."""

    OPEN = "open"
    LOCKED = "locked"


class ScreenLock(QObject):
    """Emits `locked(bool)`. Where no session bus answers it stays silent, and the ten minutes still hold."""

    locked = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bus = QDBusConnection.sessionBus()
        for service, path, interface in _SAVERS:
            if self._bus.isConnected():
                # The stubs ask for bytes, which 6.11 refuses at run time; it takes what SLOT gives.
                self._bus.connect(service, path, interface, "ActiveChanged", self, _SLOT)  # type: ignore[call-overload]

    @Slot(bool)
    def on_active(self, active: bool) -> None:
        """The saver came or went."""
        self.locked.emit(active)
