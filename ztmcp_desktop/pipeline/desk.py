"""The desk with nobody behind it: what a gateway without a screen asks, is refused."""

from ztmcp_desktop.domain.consent import Proposal, Question
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.ports import Ticket

MAX_NAMED_CHARS = 80


class NobodyAtTheDesk:
    """Refuses each question at once."""

    def open(self, question: Question | Proposal) -> Ticket:
        way = f"; a rule may permit {question_subject(question)}" if isinstance(question, Question) else ""
        raise Denial(Code.NOBODY_THERE, f"ztmcp runs without a screen, so nobody can be asked{way}", Retry.USELESS)


def question_subject(question: Question) -> str:
    """What a question is about, in a few words."""
    named = question.subject if len(question.subject) <= MAX_NAMED_CHARS else "this"
    return f"{named if named.isprintable() else 'this'} of {question.server}"
