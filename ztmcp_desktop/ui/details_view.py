"""The pane beside the timeline: one call in full, as it was recorded."""

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from ztmcp_desktop.domain.ledger import Entry, TimelineItem
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui import details_words as words
from ztmcp_desktop.ui.argument_rows import Row, as_rows
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.parts import MarkLabel, button, card, clear, column, label, row
from ztmcp_desktop.ui.plain_view import PlainView
from ztmcp_desktop.ui.sentence import Sentence, Span
from ztmcp_desktop.ui.timeline_words import clock_of, mark_of, reason_of, sentence_of, verdict_of
from ztmcp_desktop.ui.units import moment_text

LEAST_WIDTH = 216
_MOST_LINES = 16
_EMPTY = "Choose an entry to see what was checked, what was sent and what came back."


class DetailsView(QScrollArea):
    """`main.details`. Reads the rows of the chosen entry in the core."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._item: TimelineItem | None = None
        self._entries: tuple[Entry, ...] = ()
        self.setObjectName("main.details")
        self.setAccessibleName("details of the chosen entry")
        self.setWidgetResizable(True)
        self.setMinimumWidth(LEAST_WIDTH)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inner = QVBoxLayout()
        self._inner.setContentsMargins(4, 4, 12, 12)
        self._inner.setSpacing(8)
        holder = QWidget()
        holder.setLayout(self._inner)
        self.setWidget(holder)
        self._say(_EMPTY)

    def show_item(self, item: TimelineItem) -> None:
        """Show this entry; the answer to an older choice is dropped."""
        self._item = item
        key = item.call or str(item.seq)
        self._bridge.entries(key, lambda entries: self._show(item, entries), lambda why: self._failed(item, why))

    def refresh(self) -> None:
        """Read the shown entry again."""
        if self._item is not None:
            self.show_item(self._item)

    def _failed(self, item: TimelineItem, why: str) -> None:
        if item is self._item:
            self._say(why)

    def _say(self, text: str) -> None:
        clear(self._inner)
        self._inner.addWidget(label(text, muted=True))
        self._inner.addStretch(1)

    def _show(self, item: TimelineItem, entries: tuple[Entry, ...]) -> None:
        if item is not self._item:
            return
        if entries == self._entries and self._inner.count() > 1:
            return
        self._entries = entries
        place = self.verticalScrollBar().value()
        clear(self._inner)
        last = entries[-1] if entries else None
        title = QHBoxLayout()
        title.addWidget(MarkLabel(mark_of(item), 20))
        verdict = verdict_of(item) if last is None or not last.outcome else words.steps_of(entries)[-1].title
        title.addWidget(label(verdict, bold=True, factor=1.15), 1)
        title.addWidget(button("Copy", self._copy, name="details.copy"))
        self._inner.addLayout(title)
        what = Sentence()
        what.say(Span(text=sentence_of(item)))
        self._inner.addWidget(what)
        when = f"{item.at.astimezone():%Y-%m-%d} {clock_of(item.at)}"
        self._inner.addWidget(label(" · ".join(p for p in (when, item.risk, reason_of(item.code)) if p), muted=True))
        self._steps()
        for key, heading in (("arguments", "Arguments, as recorded"), ("result", "Result, as recorded")):
            value = words.recorded(entries, key)
            if value is not None:
                self._block(heading, as_rows(value))
        others = self._other_facts()
        if others:
            self._block("What happened", others)
        self._block("Chain", tuple(Row(path=path, value=value) for path, value in words.chain_of(entries)))
        self._inner.addStretch(1)
        self.verticalScrollBar().setValue(place)

    def _steps(self) -> None:
        steps = words.steps_of(self._entries)
        if not steps:
            return
        inner = QVBoxLayout()
        inner.setContentsMargins(12, 10, 12, 10)
        inner.setSpacing(7)
        for step in steps:
            texts = column(label(step.title, bold=True), spacing=0)
            if step.text:
                said = Sentence(muted=True)
                said.say(Span(text=step.text))
                texts.addWidget(said)
            line = row(MarkLabel(step.mark, 14), spacing=8)
            line.addLayout(texts, 1)
            inner.addLayout(line)
        self._inner.addWidget(label("What was checked", bold=True))
        self._inner.addWidget(card(inner))

    def _other_facts(self) -> tuple[Row, ...]:
        rows: list[Row] = []
        for entry in self._entries:
            if entry.kind.value not in {"opened", "closed"}:
                rows += [replace(row, value=moment_text(row.value)) for row in as_rows(words.body_of(entry))]
                rows += [Row(path="about", value=visible(entry.subject))] if entry.subject else []
        return tuple(rows)

    def _block(self, heading: str, rows: tuple[Row, ...]) -> None:
        self._inner.addWidget(label(heading, bold=True))
        view = PlainView()
        view.setAccessibleName(heading)
        view.resize(max(280, self.viewport().width() - 24), 200)
        view.show_rows(rows)
        view.setFixedHeight(view.height_for_lines(min(_MOST_LINES, max(1, view.line_count))))
        box = card(column(view))
        self._inner.addWidget(box)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(words.as_text(self._entries))
