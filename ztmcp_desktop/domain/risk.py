"""How dangerous a call is taken to be."""

from enum import StrEnum


class Risk(StrEnum):
    """What the call may do to the world; unknown counts as dangerous."""

    READ = "read"
    WRITE = "write"
    DESTROY = "destroy"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What a client asks for, in the words of the rules (contract, Rules)."""

    LIST = "list"
    CALL = "call"
    READ = "read"
    OTHER = "other"
    ASK_PERSON = "ask_person"
    SAMPLE = "sample"

    def without_asking(self) -> str | None:
        """The action of the second question, or None where nobody is asked."""
        return f"{self.value}_without_asking" if self in {Action.CALL, Action.READ, Action.OTHER} else None
