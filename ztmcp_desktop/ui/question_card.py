"""The part of the consent dialog that shows one question; it is kept and refilled."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from ztmcp_desktop.domain.consent import Proposal, Question
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.ui import consent_words as words
from ztmcp_desktop.ui.argument_rows import Row
from ztmcp_desktop.ui.parts import RiskBadge, button, card, clear, column, label, row
from ztmcp_desktop.ui.plain_view import PlainView
from ztmcp_desktop.ui.reach_row import ReachRow
from ztmcp_desktop.ui.room import Want, share
from ztmcp_desktop.ui.sentence import Sentence, Span
from ztmcp_desktop.ui.theme import scaled

_LEAST_NOTES = 54
_LEAST_LINES = 2
_NOTES_SHARE = 0.22
_SPACING = 8
_NOTES_GAP = 2
_NOTES_FRAME = 2
_SENT, _ALLOWED, _ENDED = "Exactly this will be sent", "Exactly this will be allowed", "This was asked for"
_TOO_LONG = "This is more than can be shown, so it cannot be allowed here."
_OF_TOOL = "what the server says of this tool (not verified)"
_OF_OFFER = "what the server says of what it offers (not verified)"


class QuestionCard(QWidget):
    """Heading, arguments, notes, the server's words, scopes. `changed` is emitted when more of it was seen.

    `read_to_end` is emitted when "Show next" has shown the last of it and goes away with the focus.
    """

    changed = Signal()
    read_to_end = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._risky = True
        self._too_long = False
        self._whose = _OF_TOOL
        self._must_read_claims = False
        self._badge = RiskBadge()
        self._heading = Sentence()
        self._heading.setFont(scaled(self.font(), 1.25))
        self._caller = Sentence(muted=True)
        self._arguments_title = label(_SENT, bold=True)
        self._arguments_title.setWordWrap(False)
        self._hidden = label()
        self._hidden.setWordWrap(False)
        self._hidden.setProperty("bad", True)  # noqa: FBT003 - a Qt property
        self._next = button("Show next", self._show_next, name="consent.show-next", flat=True)
        self.arguments = PlainView()
        self.arguments.setObjectName("consent.arguments")
        self.arguments.seen_changed.connect(self._seen, Qt.ConnectionType.QueuedConnection)
        self._notes = QVBoxLayout()
        self._notes.setContentsMargins(0, 0, 0, 0)
        self._notes.setSpacing(_NOTES_GAP)
        self._notes_area = QScrollArea()
        self._claims_toggle = button("", self._toggle_claims, name="consent.claims-toggle", flat=True)
        self._claims = PlainView()
        self._claims.setObjectName("consent.claims")
        self._claims.seen_changed.connect(self._seen, Qt.ConnectionType.QueuedConnection)
        self.reach = ReachRow()
        self._build()

    def _build(self) -> None:
        notes = QWidget()
        notes.setLayout(self._notes)
        self._notes_area.setWidget(notes)
        self._notes_area.setWidgetResizable(True)
        self._notes_area.setAccessibleName("what to know before you decide")
        head = row(self._arguments_title, None, self._hidden, self._next)
        head.setContentsMargins(10, 3, 6, 0)
        sent = column(head, self.arguments, spacing=0)
        sent.setContentsMargins(0, 0, 0, 2)
        self._sent = card(sent)
        said = column(self._claims)
        said.setContentsMargins(0, 2, 0, 2)
        self._said = card(said, "sunken")
        self._said.hide()
        keep = self._next.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self._next.setSizePolicy(keep)
        top = row(self._badge, self._heading, spacing=12)
        top.setAlignment(self._badge, Qt.AlignmentFlag.AlignTop)
        who = column(top, self._caller, spacing=4)
        whole = column(
            who, self._sent, self._notes_area, self._claims_toggle, self._said, None, self.reach, spacing=_SPACING
        )
        self.setLayout(whole)

    def show_question(self, question: Question | Proposal) -> None:
        """Refill everything from the frozen question; the narrowest scope is chosen."""
        self._too_long = False
        self._hidden.show()
        risk = question.risk if isinstance(question, Question) else Risk.UNKNOWN
        self._risky = risk is not Risk.READ
        self._badge.show_risk(risk, None if isinstance(question, Question) else "change")
        self._heading.say(*words.heading(question))
        is_call = isinstance(question, Question)
        self._head(_SENT if is_call else _ALLOWED)
        self._caller.say(Span(text=words.caller(question) if isinstance(question, Question) else ""))
        self._caller.setVisible(is_call)
        self.arguments.show_rows(self._rows_or_refusal(question))
        self._fill_notes(question)
        self._fill_claims(question)
        self.reach.offer(question)
        self._seen()

    def _rows_or_refusal(self, question: Question | Proposal) -> tuple[Row, ...]:
        try:
            return words.argument_rows(question)
        except OverflowError:
            self._too_long = True
            return (Row(path="", value=_TOO_LONG),)

    def _fill_notes(self, question: Question | Proposal) -> None:
        clear(self._notes)
        said = words.notes(question)
        for title, text in said:
            sentence = Sentence()
            sentence.say(Span(text=f"{title}:  ", strong=True), Span(text=text))
            self._notes.addWidget(sentence)
        self._notes.addStretch(1)
        self._notes_area.setVisible(bool(said))

    # The room.

    def hasHeightForWidth(self) -> bool:
        # The parts share whatever height there is, see `_share_out`; so the window may be as low as it likes.
        return False

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def _share_out(self) -> None:
        """Heights for the boxes and the notes, in whole lines, out of what the other parts leave."""
        claims = self._said.isVisibleTo(self)
        notes = self._notes_area.isVisibleTo(self)
        wants = [self._lines_want(self.arguments)]
        ends = self._notes_ends() if notes else []
        whole = ends[-1] if ends else 0
        share_px = max(_LEAST_NOTES, round(self.height() * _NOTES_SHARE))
        wants.append(Want(least=min(_LEAST_NOTES, whole), fair=min(share_px, whole), whole=whole))
        if claims:
            wants.append(self._lines_want(self._claims))
        given = share(self.height() - self._fixed_height(), wants)
        self._set_lines(self.arguments, given[0])
        self._notes_area.setFixedHeight(max([end for end in ends if end <= given[1]], default=max(1, given[1])))
        if claims:
            self._set_lines(self._claims, given[2])

    def _fixed_height(self) -> int:
        """All that does not scroll."""
        heading = max(
            self._heading.heightForWidth(self.width() - self._badge.sizeHint().width() - 12),
            self._badge.sizeHint().height(),
        )
        height = heading + self._around(self._sent, self.arguments)
        if self._caller.isVisibleTo(self):
            height += 4 + self._caller.heightForWidth(self.width())
        for part in (self._claims_toggle, self.reach):
            if part.isVisibleTo(self) or part is self.reach:
                height += _SPACING + part.sizeHint().height()
        if self._said.isVisibleTo(self):
            height += self._around(self._said, self._claims)
        return height + _SPACING * (2 if self._notes_area.isVisibleTo(self) else 1)

    def _around(self, box: QWidget, view: PlainView) -> int:
        """What a box needs beside its view."""
        return (
            _SPACING
            + box.sizeHint().height()
            - max(view.minimumHeight(), min(view.sizeHint().height(), view.maximumHeight()))
        )

    def _lines_want(self, view: PlainView) -> Want:
        least = view.height_for_lines(min(_LEAST_LINES, max(1, view.line_count)))
        return Want(least=least, fair=least, whole=view.height_for_lines(max(1, view.line_count)))

    def _set_lines(self, view: PlainView, height: int) -> None:
        lines = max(1, min(view.line_count, view.lines_in(height)))
        view.setFixedHeight(view.height_for_lines(lines))

    def _notes_ends(self) -> list[int]:
        """Where each note ends, so that none is cut in half."""
        width = max(200, self.width() - 16)
        ends: list[int] = []
        for index in range(self._notes.count()):
            item = self._notes.itemAt(index)
            widget = item.widget() if item is not None else None
            if isinstance(widget, Sentence):
                above = ends[-1] + _NOTES_GAP if ends else 0
                ends.append(above + widget.heightForWidth(width))
        return [end + _NOTES_FRAME for end in ends]

    def _fill_claims(self, question: Question | Proposal) -> None:
        claims = words.claim_rows(question)
        self._claims.show_rows(claims)
        self._whose = _OF_TOOL if isinstance(question, Question) else _OF_OFFER
        self._claims_toggle.setVisible(bool(claims))
        # What is approved is the server's words themselves, so they stand open and have to be read.
        self._must_read_claims = isinstance(question, Proposal) and bool(claims)
        self._open_claims(opened=self._must_read_claims)

    def _toggle_claims(self) -> None:
        self._open_claims(opened=not self._said.isVisibleTo(self))

    def _open_claims(self, *, opened: bool) -> None:
        self._said.setVisible(opened)
        self._claims_toggle.setText(f"{'▾' if opened else '▸'}  {self._whose}")
        self._claims.setAccessibleName(self._whose)
        self._share_out()

    def _show_next(self) -> None:
        if self.arguments.hidden_lines or not self._must_read_claims:
            self.arguments.show_next()
        else:
            self._open_claims(opened=True)
            self._claims.show_next()

    def _head(self, heading: str) -> None:
        self._arguments_title.setText(heading)
        self.arguments.setAccessibleName(heading.lower())

    def show_ended(self) -> None:
        """The question is over and nothing of it is sent: no promise and no choice is left to be read."""
        self._head(_ENDED)
        for part in (self._claims_toggle, self._said, self.reach, self._hidden, self._next):
            part.hide()
        self._share_out()

    def _seen(self) -> None:
        views = (self.arguments, self._claims) if self._must_read_claims else (self.arguments,)
        lines = sum(view.hidden_lines for view in views)
        text = words.hidden_text(lines, sum(view.hidden_characters for view in views) if lines else 0)
        self._share_out()
        self._hidden.setText(_TOO_LONG if self.too_long else text)
        pressed = self._next.hasFocus()
        self._next.setVisible(lines > 0 and self.isEnabled())
        if pressed and lines == 0:
            self.read_to_end.emit()
        self.changed.emit()

    @property
    def too_long(self) -> bool:
        """Whether it cannot be shown at all; then it cannot be allowed either."""
        return self._too_long or self.arguments.too_long or (self._must_read_claims and self._claims.too_long)

    @property
    def may_allow(self) -> bool:
        """Whether enough was shown: of a risky call everything, of a reading one the beginning."""
        if self.too_long:
            return False
        read = self._claims.all_seen or not self._must_read_claims
        return read and (self.arguments.all_seen or not self._risky)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_out()
