"""The clocks of a question. They run here, in the core, so that a frozen window cannot stretch them."""

import asyncio
from dataclasses import dataclass

from ztmcp_desktop.domain.consent import Answer, DeskEvent, Gone, Hidden, Shown, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.ports import Clock, Ticket


@dataclass(slots=True, kw_only=True)
class _Patience:
    """How long the question has been visible, and how long it has lived; all in monotonic seconds."""

    clock: Clock
    patience_s: float
    dies_at_s: float
    used_s: float = 0.0
    visible_since_s: float | None = None

    def left_s(self) -> float:
        """Seconds until the answer is no, whatever comes; zero or less means it is over."""
        now_s = self.clock.monotonic()
        life_s = self.dies_at_s - now_s
        if self.visible_since_s is None:
            return life_s
        return min(life_s, self.patience_s - self.used_s - (now_s - self.visible_since_s))

    def show(self) -> None:
        if self.visible_since_s is None:
            self.visible_since_s = self.clock.monotonic()

    def hide(self) -> None:
        if self.visible_since_s is not None:
            self.used_s += self.clock.monotonic() - self.visible_since_s
            self.visible_since_s = None


async def wait_for_answer(ticket: Ticket, clock: Clock, *, patience_s: float, life_s: float) -> Answer:
    """The person's answer to the question on `ticket`.

    `patience_s` counts only while the question is visible; `life_s` counts from now and nothing extends it. An
    answer that arrives when the time is over is not looked at: the process may have stood still meanwhile.

    Raises:
        Denial: `no-answer` in time, or `nobody-there`.
    """
    patience = _Patience(clock=clock, patience_s=patience_s, dies_at_s=clock.monotonic() + life_s)
    while (left_s := patience.left_s()) > 0:
        event = await _event_within(ticket, clock, left_s)
        if event is None or patience.left_s() <= 0:
            break
        match event:
            case Answer():
                return event
            case Shown():
                patience.show()
            case Hidden():
                patience.hide()
            case Gone():
                raise Denial(Code.NOBODY_THERE, "there was nobody at the screen to answer", Retry.LATER)
    ticket.withdraw(Withdrawal.TOO_LATE)
    raise Denial(Code.NO_ANSWER, "nobody answered in time, and no answer is a no", Retry.LATER)


async def _event_within(ticket: Ticket, clock: Clock, seconds: float) -> DeskEvent | None:
    """The ticket's next event, or None once `seconds` are over."""
    event = asyncio.ensure_future(ticket.event())
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({event, timer}, return_when=asyncio.FIRST_COMPLETED)
        return None if timer.done() or not event.done() else event.result()
    finally:
        event.cancel()
        timer.cancel()
