"""The one window in which calls are allowed or denied, with its queue."""

from collections import OrderedDict
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QCursor, QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QDialog, QPushButton, QWidget

from ztmcp_desktop.domain.consent import Answer, Hidden, Proposal, Question, Scope, Shown, Verdict
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.ui import consent_words as words
from ztmcp_desktop.ui.countdown import Countdown, Patience
from ztmcp_desktop.ui.parts import button, card, column, label, row
from ztmcp_desktop.ui.question_card import QuestionCard
from ztmcp_desktop.ui.screen_lock import Screen
from ztmcp_desktop.ui.settling import Settling

CALL_TITLE = "ztmcp – allow this call?"  # noqa: RUF001 - the contract's dash
CHANGE_TITLE = "ztmcp – allow this change?"  # noqa: RUF001 - as above
NOTICE_MS = 2500
TICK_MS = 200
WIDTH, HEIGHT = 760, 560
MIN_WIDTH, MIN_HEIGHT = 520, 400
_ENTER = frozenset((Qt.Key.Key_Return, Qt.Key.Key_Enter))


class ConsentDialog(QDialog):
    """Shows one question at a time. `event_of` carries what happened to which question.

    Allow needs all of: the window exposed, active and still for `settle_ms`, the content unchanged for as long, the
    screen not locked, and everything of a risky call shown. Deny needs the same time since something appeared, so
    that no click or key that was meant for another window decides. Esc and closing deny; Return does nothing.
    """

    event_of = Signal(str, object)
    count_changed = Signal(int)

    def __init__(self, settle_ms: int = 700, notice_ms: int = NOTICE_MS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("consent")
        self.setWindowTitle(CALL_TITLE)
        self.setWindowFlags(Qt.WindowType.Window | Qt.WindowType.WindowStaysOnTopHint)
        self.setModal(False)
        self._questions: OrderedDict[CallId, Question | Proposal] = OrderedDict()
        self._patience: dict[CallId, Patience] = {}
        self._current: Question | Proposal | None = None
        self._reported: CallId | None = None
        self._screen = Screen.OPEN
        self._allow_calm = Settling(settle_ms)
        self._deny_calm = Settling(settle_ms)
        self._pressed: dict[QPushButton, CallId | None] = {}
        self._notice_ms = notice_ms
        self.card = QuestionCard()
        self.card.changed.connect(self._judge)
        self._waiting = label(muted=True)
        self._countdown = Countdown()
        self.deny = self._decider("&Deny", "consent.deny", "Deny", self._deny)
        self.allow = self._decider("&Allow", "consent.allow", "Allow", self._allow)
        self.card.read_to_end.connect(self.deny.setFocus)
        self._notice = label(bold=True)
        self._notice_frame = card(column(self._notice, margin=10), "warning")
        self._notice_frame.setAccessibleName("what happened to this question")
        self._build()
        self._ready_timer = self._timer(self._judge)
        self._notice_timer = self._timer(self._advance)
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self._show_time)

    def _timer(self, do: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(do)
        return timer

    def _decider(self, text: str, name: str, accessible: str, do: Callable[[], None]) -> QPushButton:
        made = button(text, lambda: self._clicked(made, do), name=name)
        made.setAccessibleName(accessible)
        made.setMinimumWidth(112)
        made.pressed.connect(lambda: self._press(made))
        return made

    def _build(self) -> None:
        foot = row(self._waiting, None, self._countdown, self.deny, self.allow, spacing=10)
        whole = column(self._notice_frame, self.card, foot, spacing=8, margin=12)
        whole.setStretchFactor(self.card, 1)
        self._notice_frame.hide()
        self.setLayout(whole)
        self.setMinimumSize(MIN_WIDTH, MIN_HEIGHT)
        for widget in self.findChildren(QWidget):
            widget.installEventFilter(self)

    # The queue.

    @property
    def current(self) -> Question | Proposal | None:
        """The question on the screen."""
        return self._current

    @property
    def count(self) -> int:
        """Questions that wait, the one on the screen included."""
        return len(self._questions)

    def add(self, question: Question | Proposal) -> None:
        """Put a question at the end of the queue; it never replaces the one that is read."""
        self._questions[question.id] = question
        self._patience[question.id] = Patience(question.patience_s)
        self.count_changed.emit(self.count)
        if self._current is None and not self._notice_timer.isActive():
            self._advance()
        self._show_waiting()

    def remove(self, question: str, why: str) -> None:
        """The question is over without an answer; if it is on the screen, say why and go on a little later."""
        known = CallId(question)
        if known not in self._questions:
            return
        on_screen = self._current is not None and self._current.id == known
        self._forget(known)
        if on_screen:
            self._current = None
            self._say_over(why)
        self._show_waiting()

    def raise_question(self) -> None:
        """Bring the window to the front if there is a question."""
        if self._current is not None:
            self.showNormal()
            self.raise_()
            self.activateWindow()

    def set_screen(self, screen: Screen) -> None:
        """Hold everything while the screen is locked."""
        self._screen = screen
        self._disturb()

    def _forget(self, question: CallId) -> None:
        self._questions.pop(question, None)
        self._patience.pop(question, None)
        if self._reported == question:
            self._reported = None
        self.count_changed.emit(self.count)

    def _say_over(self, why: str) -> None:
        self._notice.setText(f"This call has ended: {why}. Nothing was sent.")
        self._notice_frame.show()
        self.card.setEnabled(False)
        self.card.show_ended()
        self._judge()
        self._notice_timer.start(self._notice_ms)

    def _advance(self) -> None:
        self._notice_frame.hide()
        self.card.setEnabled(True)
        self._pressed.clear()
        self._current = next(iter(self._questions.values()), None)
        if self._current is None:
            self._tick.stop()
            self.hide()
            return
        self.setWindowTitle(CALL_TITLE if isinstance(self._current, Question) else CHANGE_TITLE)
        self.card.show_question(self._current)
        self._show_waiting()
        self._disturb()
        self.deny.setFocus()
        if not self.isVisible():
            self._place()
            self.show()
            self.raise_()
            self.activateWindow()
        self._tick.start()
        self._show_time()

    def _place(self) -> None:
        """In the middle of the screen with the pointer, wholly inside it."""
        screen = QGuiApplication.screenAt(QCursor.pos()) or QGuiApplication.primaryScreen()
        free = screen.availableGeometry()
        size = QRect(0, 0, min(WIDTH, free.width() - 32), min(HEIGHT, free.height() - 48))
        self.setMinimumSize(min(MIN_WIDTH, size.width()), min(MIN_HEIGHT, size.height()))
        self.resize(size.width(), size.height())
        middle = free.center() - size.center()
        self.move(QPoint(max(free.left(), middle.x()), max(free.top(), middle.y() - 12)))

    def _show_waiting(self) -> None:
        behind = self.count - (1 if self._current is not None else 0)
        self._waiting.setText(words.waiting(behind))

    # What makes a decision possible.

    @property
    def _exposed(self) -> bool:
        handle = self.windowHandle()
        return self.isVisible() and not self.isMinimized() and handle is not None and handle.isExposed()

    def _disturb(self) -> None:
        self._allow_calm.disturb()
        self._deny_calm.disturb()
        self._pressed.clear()
        self._judge()

    def _judge(self) -> None:
        watched = self._exposed and self._screen is Screen.OPEN and self._current is not None
        self._report_visibility(watched)
        ready = watched and self.isActiveWindow() and self._allow_calm.calm
        self.allow.setEnabled(bool(ready and self.card.may_allow))
        self.deny.setEnabled(self._current is not None)
        if watched and not self._allow_calm.calm:
            self._ready_timer.start(self._allow_calm.remaining_ms)

    def _report_visibility(self, visible: bool) -> None:
        if self._current is None:
            return
        patience = self._patience[self._current.id]
        if visible and self._reported != self._current.id:
            self._reported = self._current.id
            patience.run()
            self.event_of.emit(self._current.id, Shown())
        elif not visible and self._reported == self._current.id:
            self._reported = None
            patience.hold()
            self.event_of.emit(self._current.id, Hidden())

    def _show_time(self) -> None:
        if self._current is not None:
            patience = self._patience[self._current.id]
            self._countdown.show_left(patience.left_s, patience.patience_s)

    # The decision.

    def _press(self, decider: QPushButton) -> None:
        calm = self._allow_calm.calm if decider is self.allow else self._deny_calm.calm
        self._pressed[decider] = self._current.id if calm and self._current is not None else None

    def _clicked(self, decider: QPushButton, do: Callable[[], None]) -> None:
        pressed = self._pressed.pop(decider, None)
        if self._current is not None and pressed == self._current.id:
            do()

    def _allow(self) -> None:
        self._judge()
        if self.allow.isEnabled():
            self._answer(Verdict.ALLOW, self.card.reach.scope, self.card.reach.choice)

    def _deny(self) -> None:
        self._answer(Verdict.DENY, Scope.ONCE)

    def _answer(self, verdict: Verdict, scope: Scope, choice: int = 0) -> None:
        asked = self._current
        if asked is None:
            return
        self._current = None
        self._forget(asked.id)
        self.event_of.emit(asked.id, Answer(verdict=verdict, scope=scope, digest=asked.digest, choice=choice))
        self._advance()

    # What Qt tells.

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in _ENTER:
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and not event.isAutoRepeat():
            self._deny()
        event.accept()

    def closeEvent(self, event: QCloseEvent) -> None:
        # The window goes away only when no question is left; closing it denies the one that is shown.
        event.ignore()
        if self._current is not None:
            self._deny()
        elif self._notice_timer.isActive():
            self._notice_timer.stop()
            self._advance()

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        match event.type():
            case (
                QEvent.Type.Show
                | QEvent.Type.Move
                | QEvent.Type.Resize
                | QEvent.Type.WindowStateChange
                | QEvent.Type.ScreenChangeInternal
            ):
                self._disturb()
            case QEvent.Type.WindowActivate | QEvent.Type.WindowDeactivate:
                self._allow_calm.disturb()
                self._pressed.pop(self.allow, None)
                self._judge()
            case QEvent.Type.Hide | QEvent.Type.UpdateRequest | QEvent.Type.Expose:
                self._judge()
            case _:
                pass
        return done
