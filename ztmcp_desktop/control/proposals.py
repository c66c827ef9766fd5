"""Changes from outside the window are proposals: the person at the screen says yes or no."""

import asyncio
import uuid

from ztmcp_desktop.domain.consent import Answer, Proposal, Verdict, Widening, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.pipeline.waiting import wait_for_answer
from ztmcp_desktop.ports import Clock, ConsentDesk

PROPOSAL_LIFE_S = 120.0
MAX_OPEN_PROPOSALS = 4
MAX_OPEN_OF_PROGRAMS = 3
"""Fewer than all, so that programs that come by themselves cannot keep the command line out."""


class Proposals:
    """Puts widenings to the person, a few at a time; nothing but their own yes is one."""

    def __init__(self, desk: ConsentDesk, digester: Digester, clock: Clock, patience_s: float) -> None:
        self._desk = desk
        self._digester = digester
        self._clock = clock
        self._patience_s = min(patience_s, PROPOSAL_LIFE_S)
        self._open = 0

    @property
    def waiting(self) -> int:
        """How many wait for an answer."""
        return self._open

    async def agree(self, widening: Widening, *, own: bool = False) -> int:
        """Return when the person has said yes, within 120 s; gives the place of what they chose of the choices.

        `own`: it comes from the command line, and not from a program that wants something.

        Raises:
            Denial: they said no, did not answer, or nobody is there.
        """
        if self._open >= (MAX_OPEN_PROPOSALS if own else MAX_OPEN_OF_PROGRAMS):
            raise Denial(Code.NO_ANSWER, "other changes wait for the person already", Retry.LATER)
        self._open += 1
        try:
            answer = await self._answer(self._proposal(widening))
        finally:
            self._open -= 1
        if answer.verdict is not Verdict.ALLOW:
            raise Denial(Code.REFUSED_BY_PERSON, "the person at this computer said no")
        if not 0 <= answer.choice < max(1, len(widening.choices)):
            raise Denial(Code.GATEWAY_FAULT, "the answer chose what was not offered")
        return answer.choice

    async def _answer(self, proposal: Proposal) -> Answer:
        ticket = self._desk.open(proposal)
        try:
            answer = await wait_for_answer(ticket, self._clock, patience_s=self._patience_s, life_s=PROPOSAL_LIFE_S)
        except asyncio.CancelledError:
            ticket.withdraw(Withdrawal.CLIENT_GAVE_UP)
            raise
        if answer.digest != proposal.digest:
            raise Denial(Code.GATEWAY_FAULT, "the answer was to another question than this one")
        return answer

    def _proposal(self, widening: Widening) -> Proposal:
        call = CallId(uuid.uuid4().hex)
        pairs = [[list(pair) for pair in part] for part in (widening.facts, widening.claims)]
        shown = [call, widening.title, widening.sentence, *pairs, list(widening.warnings), list(widening.choices)]
        return Proposal(
            id=call,
            asked_at=self._clock.now(),
            title=widening.title,
            sentence=widening.sentence,
            facts=widening.facts,
            warnings=widening.warnings,
            claims=widening.claims,
            choices=widening.choices,
            digest=self._digester.of("proposal", shown),
            patience_s=self._patience_s,
        )
