"""The desk with nobody behind it: what a gateway without a screen asks, is refused."""

from ztmcp_desktop.domain.consent import Proposal, Question
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.ports import Ticket


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
    return f"{question.subject} of {question.server}" if isinstance(question, Question) else question.title
