import gc
import sys

import pytest
from PySide6.QtCore import QObject, QTimer, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QApplication, QCheckBox, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from tests.ui.running import Running
from ztmcp_desktop.domain.consent import Gone
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.ui.application import catch_faults
from ztmcp_desktop.ui.confirm_button import ConfirmButton, SettledButton
from ztmcp_desktop.ui.main_window import problems_of
from ztmcp_desktop.ui.page import MessageBar
from ztmcp_desktop.ui.plain_view import PlainView


@pytest.mark.attack("C12")
@pytest.mark.qt_no_exception_capture
@pytest.mark.allow_log("a slot of the window failed: ZeroDivisionError")
def test_a_fault_in_a_slot_refuses_what_is_open_and_says_so(running: Running) -> None:
    ticket = running.open("q1")
    catch_faults(running.window)
    QTimer.singleShot(0, lambda: 1 // 0)
    running.bot.waitUntil(lambda: ticket.over, timeout=5000)
    assert running.core.run(ticket.event()) == Gone()
    running.bot.waitUntil(lambda: running.window.dialog.count == 0, timeout=5000)


def test_leaving_refuses_what_is_open_before_the_core_is_told(running: Running) -> None:
    ticket = running.open("q1")
    running.window.leave()
    running.bot.waitUntil(lambda: running.quits == ["quit"], timeout=5000)
    running.bot.waitUntil(lambda: ticket.over, timeout=5000)
    with pytest.raises(Denial):
        running.open("q2")


def test_a_question_of_the_core_appears_and_the_tray_counts_it(running: Running) -> None:
    running.open("q1")
    running.open("q2")
    running.bot.waitUntil(lambda: running.window.dialog.count == 2, timeout=5000)
    assert running.window.dialog.isVisible()
    assert running.window.tray.icon.toolTip() == "ztmcp: 2 waiting for your answer"


def test_locking_from_the_tray_is_one_gesture_and_unlocking_is_not(running: Running) -> None:
    running.window.tray.lock.trigger()
    running.until("lock")
    running.plane.answers["status"]["locked"] = True
    running.main.refresh_status()
    running.bot.waitUntil(lambda: running.window.tray.lock.text() == "Unlock …", timeout=5000)
    running.window.tray.lock.trigger()
    asked = len(running.plane.asked)
    running.main.refresh_status()
    running.bot.waitUntil(lambda: len(running.plane.asked) > asked, timeout=5000)
    assert "unlock" not in [verb for verb, _ in running.plane.asked]


def test_a_server_is_approved_in_two_steps_with_the_digests_that_were_shown(running: Running) -> None:
    running.plane.answers["server.show"]["approval"] = "proposed"
    running.main.show_page("Servers")
    running.press("server.approve")
    running.bot.waitUntil(lambda: running.button("server.approve-command") is not None, timeout=5000)
    step = running.button("server.approve-command")
    assert step is not None
    step.click()
    assert "server.approve-command" not in [verb for verb, _ in running.plane.asked]
    running.press("server.approve-command")
    running.press("server.approve-offer")
    running.until("server.approve-offer")
    asked = dict(running.plane.asked)
    assert asked["server.approve-command"] == {"name": "files", "digest": "d1"}
    assert asked["server.approve-offer"] == {"name": "files", "digest": "d2"}


@pytest.mark.attack("T7")
def test_an_offer_longer_than_its_box_is_approved_only_once_all_of_it_was_painted(running: Running) -> None:
    running.plane.answers["server.show"]["approval"] = "proposed"
    running.plane.answers["server.approve-command"]["offer"] = {"tools": [{"name": f"tool {n}"} for n in range(200)]}
    running.main.show_page("Servers")
    running.press("server.approve")
    running.press("server.approve-command")
    running.bot.waitUntil(lambda: running.button("server.approve-offer") is not None, timeout=5000)
    yes = running.button("server.approve-offer")
    assert isinstance(yes, SettledButton)
    running.bot.waitUntil(lambda: not yes._timer.isActive(), timeout=5000)
    yes.click()
    assert not yes.isEnabled()
    view = next(each for each in running.main.servers.findChildren(PlainView) if each.hidden_lines)
    while not view.all_seen:
        view.show_next()
        QApplication.processEvents()
    running.press("server.approve-offer")
    running.until("server.approve-offer")


@pytest.mark.attack("O5")
def test_a_login_is_begun_only_with_what_was_shown(running: Running) -> None:
    running.plane.answers["server.show"] |= {"kind": "remote", "url": "https://weather.example/mcp", "login": None}
    running.main.show_page("Servers")
    running.press("server.login-terms")
    running.bot.waitUntil(lambda: running.button("server.login") is not None, timeout=5000)
    assert "server.login" not in [verb for verb, _ in running.plane.asked]
    running.press("server.login")
    running.until("server.login-wait")
    assert dict(running.plane.asked)["server.login"] == {"name": "files", "digest": "d3"}
    running.plane.answers["server.show"]["login"] = {"issuer": "https://as.example", "clients": {"code": []}}
    running.main.servers.leave()
    running.press("server.logout")
    running.until("server.logout")


@pytest.mark.attack("O2")
def test_a_page_is_opened_by_the_desktop_and_only_if_it_is_one(running: Running) -> None:
    opened = Opened()
    for scheme in ("https", "http", "file", "javascript", "ms-settings"):
        QDesktopServices.setUrlHandler(scheme, opened, "open")
    page = "https://as.example/authorize?client_id=a&scope=read%20write"
    for text in ("file:///etc/passwd", "javascript:alert(1)", "https://as.example/$(id)", "https://a@b/", "x", page):
        running.window.open_page.emit(text)
    running.bot.waitUntil(lambda: opened.pages != [], timeout=5000)
    assert opened.pages == [page]
    assert any("No browser opened" in bar.text() for bar in running.main.findChildren(MessageBar))
    for scheme in ("https", "http", "file", "javascript", "ms-settings"):
        QDesktopServices.unsetUrlHandler(scheme)


class Opened(QObject):
    """What the desktop was asked to open."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.pages.append(bytes(url.toEncoded().data()).decode())


def test_an_empty_page_offers_the_button_where_it_says_what_to_do(running: Running) -> None:
    running.plane.answers["secret.list"] = {"names": []}
    running.main.show_page("Secrets")
    running.press("secrets.add-first")
    assert running.main.findChild(QLineEdit, "secret.name") is not None


def test_the_window_is_no_larger_than_the_screen(running: Running) -> None:
    free = QGuiApplication.primaryScreen().availableGeometry()
    assert running.main.width() <= free.width()
    assert running.main.height() <= free.height()


def test_a_server_form_refuses_a_wrong_name_and_proposes_nothing(running: Running) -> None:
    running.main.show_page("Servers")
    running.main.servers.show_form()
    name = running.main.findChild(QLineEdit, "server.name")
    where = running.main.findChild(QLineEdit, "server.where")
    name.setText("Not A Name")
    where.setText("true")
    running.press("server.propose")
    assert running.plane.changes() == []
    name.setText("notes")
    where.setText("npx -y 'a b'")
    running.press("server.propose")
    running.bot.waitUntil(lambda: running.plane.changes() != [], timeout=5000)
    verb, arguments = running.plane.changes()[0]
    assert (verb, arguments["argv"], arguments["folders"]) == ("server.add", ["npx", "-y", "a b"], [])
    running.bot.waitUntil(lambda: "no verb server.add" in running.main.servers.message.text(), timeout=5000)


def test_a_new_client_needs_a_server_and_its_token_is_shown_once(running: Running) -> None:
    running.main.show_page("Clients")
    running.main.clients.show_form()
    running.bot.waitUntil(lambda: running.button("client.make") is not None, timeout=5000)
    running.main.clients.findChild(QLineEdit, "client.name").setText("cursor")
    running.press("client.make")
    assert running.plane.changes() == []
    running.main.clients.findChildren(QCheckBox)[0].setChecked(True)
    running.press("client.make")
    token = "zt_" + "a" * 43
    running.bot.waitUntil(lambda: token in shown(running), timeout=5000)
    running.press("client.done")
    running.bot.waitUntil(lambda: token not in shown(running), timeout=5000)


def shown(running: Running) -> str:
    return "\n".join(view.accessibleDescription() for view in running.main.clients.findChildren(PlainView))


def test_a_client_is_shown_with_what_it_may_do_and_who_it_is(running: Running) -> None:
    running.main.show_page("Clients")
    running.bot.waitUntil(lambda: "files: look, run tools" in shown(running), timeout=5000)
    for fact in ("Claude Code (its own word)", "logging in; it registered itself", "2026-12-22", "2026-11-24"):
        assert fact in shown(running)


def test_programs_are_let_register_for_five_minutes_by_one_button(running: Running) -> None:
    running.main.show_page("Clients")
    running.bot.waitUntil(lambda: running.button("clients.pair") is not None, timeout=5000)
    pair = running.button("clients.pair")
    assert pair.text() == "Let a program register"
    running.press("clients.pair")
    running.bot.waitUntil(lambda: "5 min left" in pair.text(), timeout=5000)
    assert [asked for asked in running.plane.asked if asked[0] == "client.pair"] == [("client.pair", {"for_s": 300})]
    running.plane.answers["client.pair"] = {"left_s": 0}
    running.press("clients.pair")
    running.bot.waitUntil(lambda: pair.text() == "Let a program register", timeout=5000)
    assert running.plane.asked[-1] == ("client.pair", {"for_s": 0})


def test_a_grant_is_listed_with_its_client_and_can_be_revoked(running: Running) -> None:
    running.main.show_page("Clients")

    def revokers() -> list[QPushButton]:
        buttons = running.main.clients.findChildren(QPushButton)
        return [each for each in buttons if "revoke what is remembered" in each.accessibleName() and each.isVisible()]

    running.bot.waitUntil(lambda: revokers() != [], timeout=5000)
    revokers()[0].click()
    running.until("grant.revoke")
    assert running.plane.changes() == [("grant.revoke", {"id": "g1"})]


def test_a_secret_value_is_typed_unseen_and_forgotten_at_once(running: Running) -> None:
    running.main.show_page("Secrets")
    running.main.secrets.show_form()
    value = running.main.secrets.findChild(QLineEdit, "secret.value")
    assert value.echoMode() is QLineEdit.EchoMode.Password
    running.main.secrets.findChild(QLineEdit, "secret.name").setText("API_KEY")
    value.setText("hush")
    running.press("secret.save")
    assert value.text() == ""
    running.until("secret.set")
    assert running.plane.changes() == [("secret.set", {"name": "API_KEY", "value": "hush"})]


def test_removing_takes_two_presses_and_a_double_click_is_one(qtbot: QtBot) -> None:
    done: list[str] = []
    remove = ConfirmButton("Remove", "Really remove", lambda: done.append("removed"))
    qtbot.addWidget(remove)
    remove.click()
    remove.click()
    assert done == []
    assert remove.text() == "Really remove"
    qtbot.waitUntil(lambda: remove._calm.calm, timeout=3000)
    remove.click()
    assert done == ["removed"]


def test_what_is_wrong_says_what_it_means_and_what_to_do() -> None:
    status = {
        "locked": True,
        "keychain": {"works": False, "reason": "it is locked", "mend": "Unlock it."},
        "sandbox": {"works": False, "reason": "bwrap is missing", "mend": "apt install bubblewrap", "missing": []},
    }
    kinds, texts = zip(*problems_of(status), strict=True)
    assert kinds == ("danger", "danger", "danger")
    assert "Unlock it." in texts[1]
    assert "apt install bubblewrap" in texts[2]


class Emitter(QObject):
    flag = Signal(bool)
    thing = Signal(object)


def test_emitting_and_repainting_keep_the_references_of_none_true_and_false(qtbot: QtBot) -> None:
    # PySide6 6.12.0 on Python 3.11 loses one at each emission or repaint, and then aborts.
    emitter, heard = Emitter(), []
    emitter.flag.connect(heard.append)
    emitter.thing.connect(heard.append)
    view = PlainView()
    qtbot.addWidget(view)
    view.show()
    gc.collect()
    before = [sys.getrefcount(each) for each in (None, True, False)]
    for _ in range(2000):
        emitter.flag.emit(True)
        emitter.flag.emit(False)
        emitter.thing.emit(None)
        view.viewport().repaint()
    assert len(heard) == 6000
    heard.clear()
    gc.collect()
    after = [sys.getrefcount(each) for each in (None, True, False)]
    # An immortal object (Python 3.12) has a fixed count, which holds here as well.
    assert all(now > then - 500 for now, then in zip(after, before, strict=True))
