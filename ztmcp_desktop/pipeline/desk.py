"""The desk with nobody behind it: what a gateway without a screen asks, is refused."""

from ztmcp_desktop.domain.consent import Proposal, Question
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.ports import Ticket

MAX_NAMED_CHARS = 80


class NobodyAtTheDesk:
    """Refuses each question at once."""

    def open(self, question: Question | Proposal) -> Ticket:
        raise Denial(
            Code.NOBODY_THERE,
            f"ztmcp runs without a screen, so nobody can be asked; a rule may permit {question_subject(question)}",
            Retry.USELESS,
        )


def question_subject(question: Question | Proposal) -> str:
    """What a question is about, in a few words."""
    if not isinstance(question, Question):
        return question.title
    named = question.subject if len(question.subject) <= MAX_NAMED_CHARS else "this"
    return f"{named if named.isprintable() else 'this'} of {question.server}"
