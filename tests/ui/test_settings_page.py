import pytest

from tests.ui.core import EDITED
from tests.ui.running import Running
from ztmcp_desktop.ui.plain_view import PlainView
from ztmcp_desktop.ui.settings_page import SettingsPage, as_number


def on_settings(running: Running) -> SettingsPage:
    running.main.show_page("Settings")
    running.settle()
    return running.main.settings


def notes(page: SettingsPage) -> dict[str, str]:
    return {key: note.text() for key, note in page._notes.items() if note.isVisible()}


def test_what_the_core_refuses_is_said_as_it_is_and_the_form_keeps_it(running: Running) -> None:
    del running.plane.answers["settings.set"]
    page = on_settings(running)
    page.port.setText("eighty")
    page.origins.setPlainText("not an origin")
    running.press("settings.save")
    running.bot.waitUntil(lambda: page.message.text() == "There is no verb settings.set.", timeout=5000)
    assert running.plane.changes() == [("settings.set", {"port": "eighty", "allowed_origins": ["not an origin"]})]
    page.load()
    running.settle()
    assert (page.port.text(), page.origins.toPlainText()) == ("eighty", "not an origin")


def test_only_what_was_changed_is_sent_and_what_waits_for_a_restart_is_said(running: Running) -> None:
    page = on_settings(running)
    assert notes(page) == {}
    assert "/home/u/.config/ztmcp/config.toml" in page._file.text()
    page.port.setText("7500")
    running.press("settings.save")
    running.bot.waitUntil(lambda: "counts from the next start" in page.message.text(), timeout=5000)
    assert running.plane.changes() == [("settings.set", {"port": 7500})]
    assert list(notes(page)) == ["port"]
    assert "runs with: 7420" in notes(page)["port"]
    assert page.port.text() == "7500"


def test_saving_without_a_change_asks_nothing(running: Running) -> None:
    page = on_settings(running)
    page.patience.setText("60.0")
    running.press("settings.save")
    assert running.plane.changes() == []
    assert page.message.text() == "Nothing differs from what is saved."


def test_what_is_not_saved_can_be_taken_back(running: Running) -> None:
    page = on_settings(running)
    page.patience.setText("5")
    page.origins.clear()
    running.press("settings.undo")
    assert (page.patience.text(), page.origins.toPlainText()) == ("60", "https://app.example")


def test_an_edited_file_is_used_exactly_as_it_was_shown(running: Running) -> None:
    running.plane.answers["edited"] = {"changed": EDITED}
    page = on_settings(running)
    running.press("outside.look")
    running.bot.waitUntil(lambda: running.button("outside.use") is not None, timeout=5000)
    shown = "\n".join(view.accessibleDescription() for view in page.findChildren(PlainView))
    assert "7420 → 7421" in shown
    assert running.plane.changes() == []
    running.press("outside.use")
    running.until("reload")
    assert running.plane.changes() == [("reload", {"seen": EDITED})]
    running.bot.waitUntil(lambda: running.button("settings.save") is not None, timeout=5000)


def test_a_file_that_cannot_be_read_is_said(running: Running) -> None:
    del running.plane.answers["edited"]
    page = on_settings(running)
    assert page.message.text() == "There is no verb edited."


@pytest.mark.parametrize(("text", "value"), [("60", 60), ("1.5", 1.5), ("", ""), ("ten", "ten"), ("nan", "nan")])
def test_what_is_no_number_goes_to_the_core_as_it_was_typed(text: str, value: object) -> None:
    assert as_number(text) == value
