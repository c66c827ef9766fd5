import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

from tests.ui.running import Running
from ztmcp_desktop.ui.help_page import HelpPage, title_of

TEXTS = {
    "01-one.md": "# One\n\nGo to [Two](02-two.md), or [away](https://example.com/02-two.md).",
    "02-two.md": "# Two\n\n<b>markup</b> and ![a picture](file:///etc/passwd) with an apple",
    "03-three.md": "# Three\n\nAn apple and a pear",
}


@pytest.fixture
def page(qtbot: QtBot) -> HelpPage:
    made = HelpPage(TEXTS)
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    return made


def listed(page: HelpPage) -> list[str]:
    items = [page.pages.item(at) for at in range(page.pages.count())]
    return [item.text() for item in items if not item.isHidden()]


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com/02-two.md",
        "file:///etc/passwd",
        "../02-two.md",
        "04-none.md",
        "02-two.md?x",
        "//h/02-two.md",
    ],
)
def test_a_link_that_is_no_page_of_ours_leads_nowhere(page: HelpPage, link: str) -> None:
    page.view.anchorClicked.emit(QUrl(link))
    assert page.pages.currentItem().text() == "One"
    assert page.view.toPlainText().startswith("One")
    assert not page.view.openLinks()
    assert not page.view.openExternalLinks()


def test_a_link_to_a_page_turns_to_it(page: HelpPage) -> None:
    page.view.anchorClicked.emit(QUrl("02-two.md"))
    assert page.pages.currentItem().text() == "Two"
    assert page.view.toPlainText().startswith("Two")


def test_nothing_is_loaded_and_markup_stays_text(page: HelpPage) -> None:
    page.show_page("02-two.md")
    picture = QTextDocument.ResourceType.ImageResource
    assert page.view.document().resource(picture.value, QUrl("file:///etc/passwd")) == b""
    assert "<b>markup</b>" in page.view.toPlainText()


def test_the_search_leaves_the_pages_that_hold_the_text_and_marks_it(page: HelpPage) -> None:
    page.search.setText("APPLE")
    assert listed(page) == ["Two", "Three"]
    assert page.pages.currentItem().text() == "Two"
    assert page.view.textCursor().selectedText() == "apple"
    page.search.setText("cherry")
    assert listed(page) == []
    assert page._nothing.text() == "No page has this text."
    assert page._nothing.isVisible()
    page.search.clear()
    assert listed(page) == ["One", "Two", "Three"]
    assert not page._nothing.isVisible()


def test_an_installation_without_help_says_so(qtbot: QtBot) -> None:
    made = HelpPage({})
    qtbot.addWidget(made)
    made.show()
    assert "Install ztmcp-desktop again" in made._nothing.text()
    assert made._nothing.isVisible()


def test_the_title_is_the_first_heading() -> None:
    assert title_of("# The dialog\n\nText") == "The dialog"


def test_the_help_is_in_the_window_and_the_search_key_finds_in_it(running: Running) -> None:
    running.main.show_page("Help")
    assert running.main.help.pages.item(0).text() == "First steps"
    running.main._find()
    assert running.main._stack.currentWidget() is running.main.help


def test_the_pages_stand_in_the_same_order_in_the_window_and_in_the_tray(running: Running) -> None:
    actions = ["" if each.isSeparator() else each.text() for each in running.window.tray.menu.actions()]
    assert actions == [
        "Show the question",
        "",
        "Activity",
        "Servers",
        "Clients",
        "Rules",
        "Secrets",
        "",
        "Lock everything",
        "",
        "Settings",
        "Help",
        "",
        "Quit",
    ]
    rows = [running.main._navigation.item(at).text() for at in range(running.main._navigation.count())]
    assert rows == ["Activity", "Servers", "Clients", "Rules", "Secrets", "Settings", "Help"]
