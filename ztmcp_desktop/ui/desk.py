"""The bridge between the core's questions and the person: a queue of tickets, and a heartbeat that says no."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from ztmcp_desktop.domain.consent import Answer, DeskEvent, Gone, Proposal, Question, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.names import CallId

BEAT_MS = 1000
MAX_GAP_S = 3.0
MAX_EVENTS = 256
GONE_SENTENCE = "the window did not answer for a while, so the call was refused"


class DeskSignals(QObject):
    """What the core tells the window; delivered queued, on the thread of the window."""

    opened = Signal(object)
    closed = Signal(str, str)


class DeskTicket:
    """One question on its way; used on the core's loop only."""

    def __init__(self, question: Question | Proposal, close: Callable[[CallId, str], None]) -> None:
        self.question = question
        self._close = close
        self._events: deque[DeskEvent] = deque()
        self._wake = asyncio.Event()
        self._over = False

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self._over

    async def event(self) -> DeskEvent:
        while not self._events:
            if self._over:
                return Gone()
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def withdraw(self, why: Withdrawal) -> None:
        if not self._over:
            self._finish()
            self._close(self.question.id, why.value)

    def take(self, event: DeskEvent) -> None:
        """Hand on what happened; an answer or a departure is the last, and drops what was not read yet."""
        if self._over:
            return
        if isinstance(event, Answer | Gone) or len(self._events) >= MAX_EVENTS:
            if not isinstance(event, Answer):
                self._events.clear()
                event = Gone()
            self._events.append(event)
            self._finish()
            return
        self._events.append(event)
        self._wake.set()

    def _finish(self) -> None:
        self._over = True
        self._wake.set()


class QtDesk:
    """Puts questions to the window (ports.ConsentDesk). Made on the window's thread.

    A window that does not beat for three seconds, or beats again after such a gap, answers every open question with
    `Gone`; so does a process that was stopped and continued, whatever click was queued meanwhile.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        max_open: int = 32,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.signals = DeskSignals()
        self._loop = loop
        self._max_open = max_open
        self._monotonic = monotonic
        self._tickets: dict[CallId, DeskTicket] = {}
        self._core_beat_s: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._window_beat_s: float | None = None
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)

    # On the core's loop.

    def open(self, question: Question | Proposal) -> DeskTicket:
        if self._gap_s() > MAX_GAP_S:
            raise Denial(Code.NOBODY_THERE, "nobody is there to be asked: the window does not answer", Retry.LATER)
        self._tickets = {name: ticket for name, ticket in self._tickets.items() if not ticket.over}
        if len(self._tickets) >= self._max_open:
            raise Denial(Code.NO_ANSWER, "too many questions are waiting for the person already", Retry.LATER)
        if question.id in self._tickets:
            raise Denial(Code.GATEWAY_FAULT, "this question is being asked already")
        ticket = DeskTicket(question, self._close)
        self._tickets[question.id] = ticket
        if self._watch is None:
            self._watch = self._loop.call_later(BEAT_MS / 1000, self._check)
        self.signals.opened.emit(question)
        return ticket

    @property
    def open_questions(self) -> int:
        """How many questions wait for the person."""
        return sum(not ticket.over for ticket in self._tickets.values())

    def _close(self, question: CallId, why: str) -> None:
        self._tickets.pop(question, None)
        self.signals.closed.emit(question, why)

    def _gap_s(self) -> float:
        return float("inf") if self._core_beat_s is None else self._monotonic() - self._core_beat_s

    def _check(self) -> None:
        self._watch = None
        if self._gap_s() > MAX_GAP_S:
            self._all_gone()
        if self._tickets:
            self._watch = self._loop.call_later(BEAT_MS / 1000, self._check)

    def _all_gone(self) -> None:
        for question, ticket in list(self._tickets.items()):
            if not ticket.over:
                ticket.take(Gone())
                self.signals.closed.emit(question, GONE_SENTENCE)
        self._tickets.clear()

    def _core_beat(self, at_s: float) -> None:
        late = self._gap_s() > MAX_GAP_S
        self._core_beat_s = at_s
        if late:
            self._all_gone()

    def _core_left(self) -> None:
        self._core_beat_s = None
        self._all_gone()

    def _core_report(self, question: CallId, event: DeskEvent) -> None:
        if isinstance(event, Answer) and self._gap_s() > MAX_GAP_S:
            self._all_gone()
        ticket = self._tickets.get(question)
        if ticket is None:
            return
        ticket.take(event)
        if ticket.over:
            del self._tickets[question]

    # On the window's thread.

    def attach(self) -> None:
        """Begin to beat; from now on questions are accepted."""
        self._beat()
        self._timer.start()

    def detach(self) -> None:
        """There is nobody any more: every open question is `Gone`, and new ones are refused until `attach`."""
        self._timer.stop()
        self._window_beat_s = None
        self._in_core(self._core_left)

    def fail(self) -> None:
        """Something broke in the window: what is open now is `Gone`, whatever was on the screen."""
        self._in_core(self._all_gone)

    def report(self, question: CallId, event: DeskEvent) -> None:
        """What happened to a question. An answer after a silence of the window counts as nobody there."""
        if isinstance(event, Answer):
            last = self._window_beat_s
            if last is None or self._monotonic() - last > MAX_GAP_S:
                self._in_core(self._all_gone)
                return
        self._in_core(self._core_report, question, event)

    def _beat(self) -> None:
        self._window_beat_s = self._monotonic()
        self._in_core(self._core_beat, self._window_beat_s)

    def _in_core(self, do: Callable[..., None], *arguments: object) -> None:
        if self._loop.is_closed():
            return
        try:
            self._loop.call_soon_threadsafe(do, *arguments)
        except RuntimeError:
            # The loop was closed between the two lines; with the core gone there is nobody to tell.
            self._timer.stop()
