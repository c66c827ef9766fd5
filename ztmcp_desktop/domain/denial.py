"""Refusals: each failure that stops a call is one, so that forgetting a case refuses."""

from enum import Enum, StrEnum


class Code(StrEnum):
    """Why a call was refused or failed; the contract's names."""

    UNAUTHENTICATED = "unauthenticated"
    NOT_PERMITTED = "not-permitted"
    REFUSED_BY_RULE = "refused-by-rule"
    REFUSED_BY_PERSON = "refused-by-person"
    NO_ANSWER = "no-answer"
    NOBODY_THERE = "nobody-there"
    OUTSIDE_LIMITS = "outside-limits"
    CHANGED_SINCE_APPROVAL = "changed-since-approval"
    SCHEMA_MISMATCH = "schema-mismatch"
    SECRET_MISSING = "secret-missing"  # noqa: S105 - a code
    BLOCKED_CONTENT = "blocked-content"
    WITHDRAWN = "withdrawn"
    INTERRUPTED = "interrupted"
    SERVER_UNAVAILABLE = "server-unavailable"
    TOO_SLOW = "too-slow"
    TOO_LARGE = "too-large"
    LOCKED_DOWN = "locked-down"
    GATEWAY_FAULT = "gateway-fault"


class Retry(Enum):
    """Whether asking again makes sense, as the model is told."""

    USELESS = "Do not try the same call again."
    LATER = "The same call may succeed later."
    DIFFERENT = "Another call, with other arguments, may be allowed."


class Denial(Exception):  # noqa: N818 - the domain's word
    """Stops a call. `reason` is one sentence that the person, the model and the ledger may all read."""

    def __init__(self, code: Code, reason: str, retry: Retry = Retry.USELESS) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry = retry

    def __str__(self) -> str:
        return f"{self.code.value}: {self.reason}"
