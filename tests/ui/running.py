"""The whole window over a core in memory, and hands that press its buttons."""

from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from tests.ui.core import CoreThread, MemoryPlane, MemoryTimeline, sample_items
from tests.ui.samples import make_question
from ztmcp_desktop.control.resources import help_texts
from ztmcp_desktop.settings import Settings
from ztmcp_desktop.ui.application import Window, WindowParts, make_application
from ztmcp_desktop.ui.desk import DeskTicket, QtDesk


class Running:
    """The whole window over a core in memory; `stop` ends it."""

    def __init__(self, qtbot: QtBot) -> None:
        self.bot = qtbot
        self.core = CoreThread()
        self.plane = MemoryPlane()
        self.quits: list[str] = []
        application = make_application()
        self.desk = QtDesk(self.core.loop)
        parts = WindowParts(
            loop=self.core.loop,
            desk=self.desk,
            timeline=MemoryTimeline(sample_items()),
            plane=self.plane,
            settings=Settings(settle_ms=100),
            help_texts=help_texts(),
            on_quit=lambda: self.quits.append("quit"),
        )
        self.window = Window(application, parts)
        self.window.appear()
        self.window.core_ready.emit()
        self.main = self.window.main
        self.until("server.list")

    def until(self, verb: str) -> None:
        self.bot.waitUntil(lambda: verb in [asked for asked, _ in self.plane.asked], timeout=5000)

    def settle(self) -> None:
        """Wait until every question to the core is answered and shown."""
        self.bot.waitUntil(lambda: self.window.bridge._pending == 0, timeout=5000)

    def open(self, name: str) -> DeskTicket:
        async def work() -> DeskTicket:
            return self.desk.open(make_question(name))

        ticket = self.core.run(work())
        assert isinstance(ticket, DeskTicket)
        return ticket

    def press(self, name: str) -> None:
        self.bot.waitUntil(lambda: self.button(name) is not None, timeout=5000)
        made = self.button(name)
        assert made is not None
        self.bot.waitUntil(made.isEnabled, timeout=5000)
        made.click()

    def button(self, name: str) -> QPushButton | None:
        found = [each for each in self.main.findChildren(QPushButton, name) if each.isVisible()]
        return found[-1] if found else None

    def stop(self) -> None:
        self.desk.detach()
        self.main._status_timer.stop()
        self.main.hide()
        self.window.dialog.hide()
        self.window.tray.icon.hide()
        self.core.stop()
