"""SIGTERM and SIGINT, as a call on Qt's loop."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier

_ENDING = (signal.SIGTERM, signal.SIGINT)


class EndSignals(QObject):
    """Calls `leave` from Qt's loop when the system asks the process to end. To be made on the main thread.

    A handler in Python runs between any two lines of whatever slot runs at that moment, or not before the next slot
    does. So ours does nothing: the interpreter's wakeup descriptor (`signal.set_wakeup_fd`) wakes the loop, whichever
    thread the signal was given to, and `leave` runs when no slot does.
    """

    def __init__(self, leave: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(0)
        self._theirs.settimeout(0)
        self._leave = leave
        self._notifier = QSocketNotifier(self._ours.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._heard)
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in _ENDING:
            signal.signal(number, _nothing)

    def close(self) -> None:
        """Hear no more. A signal that comes later does nothing."""
        signal.set_wakeup_fd(-1)
        self._notifier.setEnabled(False)
        self._ours.close()
        self._theirs.close()

    def _heard(self) -> None:
        try:
            numbers = self._ours.recv(64)
        except BlockingIOError:
            return
        if any(number in numbers for number in _ENDING):
            self._leave()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    return
