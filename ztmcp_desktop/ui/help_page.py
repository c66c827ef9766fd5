"""The help: our own pages, read where they are needed, with no way out to the network or the disk."""

from collections.abc import Mapping

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QUrl
from PySide6.QtGui import QColor, QTextCursor, QTextDocument, QTextTable, QTextTableFormat
from PySide6.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QSplitter, QTextBrowser, QWidget

from ztmcp_desktop.ui.page import LIST_WIDTH, PANE_WIDTH
from ztmcp_desktop.ui.parts import column, label, row
from ztmcp_desktop.ui.theme import theme_of

MAX_SEARCH = 100
_KEY = int(Qt.ItemDataRole.UserRole)
_MISSING = "The help is missing from this installation. Install ztmcp-desktop again; everything else works without it."
_NOTHING = "No page has this text."
_SEARCH_WIDTH = 280
_CELL_PADDING = 6
_TABLE_GAP = 8
_ITEM_ROOM = 21
_FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML


def title_of(text: str) -> str:
    """The first heading of a page."""
    return text.partition("\n")[0].removeprefix("#").strip()


class HelpView(QTextBrowser):
    """One page. It loads nothing, neither pictures nor style sheets nor other documents."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setObjectName("help.text")
        self.setAccessibleName("help page")
        self.document().setDocumentMargin(18)

    def loadResource(self, _kind: int, _name: QUrl | str) -> QByteArray:
        """Nothing, whatever a page asks for; without an answer the document would read the file by itself."""
        return QByteArray()

    def show_page(self, text: str) -> None:
        """Show this Markdown from its beginning; markup of HTML stays text."""
        self._text = text
        self.document().setMarkdown(text, _FEATURES)
        self._dress_tables()
        self.moveCursor(QTextCursor.MoveOperation.Start)
        self.verticalScrollBar().setValue(0)

    def _dress_tables(self) -> None:
        """Lines and room as elsewhere in the window; Qt's own lines are as dark as the text."""
        line = QColor(theme_of(self.palette()).line)
        for frame in self.document().rootFrame().childFrames():
            if isinstance(frame, QTextTable):
                style = frame.format().toTableFormat()
                style.setBorderBrush(line)
                style.setBorderStyle(QTextTableFormat.BorderStyle.BorderStyle_Solid)
                style.setCellPadding(_CELL_PADDING)
                style.setTopMargin(_TABLE_GAP)
                style.setBottomMargin(_TABLE_GAP)
                frame.setFormat(style)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and self._text:
            self._dress_tables()


class HelpPage(QWidget):
    """The list of pages, a search over all of them, and the page."""

    title = "Help"

    def __init__(self, texts: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._texts = dict(texts)
        self.view = HelpView()
        self.view.anchorClicked.connect(self._follow)
        self.search = QLineEdit()
        self.search.setObjectName("help.search")
        self.search.setAccessibleName("search the help")
        self.search.setPlaceholderText("Search the help …")
        self.search.setClearButtonEnabled(True)
        self.search.setMaxLength(MAX_SEARCH)
        self.search.setFixedWidth(_SEARCH_WIDTH)
        self.search.textChanged.connect(self._find)
        self.pages = QListWidget()
        self.pages.setObjectName("things")
        self.pages.setAccessibleName("help pages")
        for name, text in self._texts.items():
            item = QListWidgetItem(title_of(text))
            item.setData(_KEY, name)
            # Qt measures an item before the style sheet gives it its padding.
            item.setSizeHint(QSize(0, self.fontMetrics().height() + _ITEM_ROOM))
            self.pages.addItem(item)
        self.pages.currentItemChanged.connect(lambda now, _before: self._turn_to(now))
        self._nothing = label(_NOTHING if self._texts else _MISSING, muted=True)
        self._nothing.setVisible(not self._texts)
        self.pages.setMinimumWidth(LIST_WIDTH)
        self.view.setMinimumWidth(PANE_WIDTH)
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.addWidget(self.pages)
        halves.addWidget(self.view)
        halves.setSizes([280, 640])
        halves.setStretchFactor(1, 1)
        halves.setChildrenCollapsible(False)
        halves.setHandleWidth(14)
        head = row(label(self.title, bold=True, factor=1.5), None, self.search)
        whole = column(head, self._nothing, halves, spacing=10, margin=18)
        whole.setStretchFactor(halves, 1)
        self.setLayout(whole)
        self.pages.setCurrentRow(0)

    def load(self) -> None:
        """There is nothing to ask the core for."""

    def show_page(self, name: str) -> None:
        """Show the page of this file name; another name changes nothing."""
        for at in range(self.pages.count()):
            item = self.pages.item(at)
            if item.data(_KEY) == name:
                item.setHidden(False)
                self.pages.setCurrentItem(item)

    def _turn_to(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.view.show_page(self._texts[item.data(_KEY)])
            self._mark()

    def _follow(self, link: QUrl) -> None:
        """Only to a page of our own: every other link leads nowhere."""
        if link.isRelative() and not link.hasQuery():
            self.show_page(link.path())

    def _find(self, sought: str) -> None:
        """Leave the pages in the list that hold the text, and turn to the first of them."""
        wanted = sought.strip().casefold()
        found = []
        for at in range(self.pages.count()):
            item = self.pages.item(at)
            holds = wanted in self._texts[item.data(_KEY)].casefold()
            item.setHidden(not holds)
            if holds:
                found.append(item)
        self._nothing.setVisible(not found)
        now = self.pages.currentItem()
        if found and (now is None or now.isHidden()):
            self.pages.setCurrentItem(found[0])
        else:
            self._mark()

    def _mark(self) -> None:
        """Select the first place on the page where the sought text stands."""
        self.view.moveCursor(QTextCursor.MoveOperation.Start)
        if wanted := self.search.text().strip():
            self.view.find(wanted)
