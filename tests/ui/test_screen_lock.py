import pytest
from PySide6.QtDBus import QDBusConnection, QDBusMessage
from pytestqt.qtbot import QtBot

from ztmcp_desktop.ui.screen_lock import ScreenLock

SERVICE, PATH = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"


@pytest.mark.screen
@pytest.mark.attack("C8")
def test_the_desktops_screen_saver_is_heard(qtbot: QtBot) -> None:
    heard: list[bool] = []
    lock = ScreenLock()
    lock.locked.connect(heard.append)
    saver = QDBusConnection.connectToBus(QDBusConnection.BusType.SessionBus, "saver")
    assert saver.registerService(SERVICE)
    for active in (True, False):
        message = QDBusMessage.createSignal(PATH, SERVICE, "ActiveChanged")
        message.setArguments([active])
        assert saver.send(message)
    qtbot.waitUntil(lambda: heard == [True, False], timeout=5000)
    saver.unregisterService(SERVICE)
    QDBusConnection.disconnectFromBus("saver")
