"""The clocks of a question."""

import asyncio

import pytest

from tests.fakes import FakeClock, FakeTicket
from ztmcp_desktop.domain.consent import Answer, Gone, Hidden, Scope, Shown, Verdict, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import Digest
from ztmcp_desktop.pipeline.waiting import wait_for_answer

YES = Answer(verdict=Verdict.ALLOW, scope=Scope.ONCE, digest=Digest("d"))


class Asking:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ticket = FakeTicket(None)  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(wait_for_answer(self.ticket, self.clock, patience_s=60, life_s=600))

    async def play(self, *events: object) -> None:
        for event in events:
            self.ticket.play(event)  # type: ignore[arg-type]
        await self.clock.advance(0)

    async def code(self) -> Code:
        with pytest.raises(Denial) as refused:
            await asyncio.wait_for(self.task, 1)
        return refused.value.code


@pytest.mark.attack("C8")
async def test_no_answer_in_time_is_a_no() -> None:
    asking = Asking()
    await asking.play(Shown())
    await asking.clock.advance(60.1)
    assert await asking.code() is Code.NO_ANSWER
    assert asking.ticket.withdrawn is Withdrawal.TOO_LATE


@pytest.mark.attack("C8")
async def test_a_question_that_nobody_sees_does_not_run_out_of_patience_but_of_life() -> None:
    asking = Asking()
    await asking.clock.advance(599)
    assert not asking.task.done()
    await asking.clock.advance(2)
    assert await asking.code() is Code.NO_ANSWER


@pytest.mark.attack("C8")
async def test_a_locked_screen_holds_the_countdown_and_does_not_extend_the_life() -> None:
    asking = Asking()
    await asking.play(Shown())
    await asking.clock.advance(59)
    await asking.play(Hidden())
    await asking.clock.advance(500)
    assert not asking.task.done()
    await asking.play(Shown())
    await asking.clock.advance(1.5)
    assert await asking.code() is Code.NO_ANSWER


@pytest.mark.attack("C12")
async def test_an_answer_that_was_queued_while_the_process_stood_still_is_a_no() -> None:
    asking = Asking()
    await asking.play(Shown())
    asking.clock.seconds += 61  # as after SIGSTOP and SIGCONT: time has passed and no timer has fired yet
    await asking.play(YES)
    assert await asking.code() is Code.NO_ANSWER


@pytest.mark.attack("C12")
async def test_when_the_desk_is_gone_the_answer_is_no() -> None:
    asking = Asking()
    await asking.play(Shown(), Gone())
    assert await asking.code() is Code.NOBODY_THERE


async def test_an_answer_in_time_counts() -> None:
    asking = Asking()
    await asking.play(Shown(), YES)
    assert await asyncio.wait_for(asking.task, 1) == YES
