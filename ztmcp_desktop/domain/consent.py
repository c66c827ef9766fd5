"""What the person is asked, and what they answer."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ztmcp_desktop.domain.caller import Caller
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId, ClientName, Digest, GrantId, SecretName, ServerName, SessionId
from ztmcp_desktop.domain.proof import Kinds
from ztmcp_desktop.domain.risk import Risk

MAX_CHOICES = 3


class Scope(StrEnum):
    """How far a yes reaches."""

    ONCE = "once"
    EXACT_SESSION = "exact-session"


class Verdict(StrEnum):
    """The person's answer."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call, as the dialog shows it: made only from the frozen object that will be sent.

    `params` is exactly what is sent but for the secrets named here. `claims` is the pinned item, the server's own
    words. `sensitive` is what will leave; `because` says why it is asked; `signs` are the classifier's sentences.
    `caller` is what the system reports of who asks, `claimed` what the client calls itself.
    """

    id: CallId
    asked_at: datetime
    client: ClientName
    server: ServerName
    method: str
    subject: str
    params: JsonObject
    risk: Risk
    caller: Caller
    claimed: str
    signs: tuple[str, ...]
    because: tuple[str, ...]
    warnings: tuple[str, ...]
    sensitive: Kinds
    claims: JsonObject
    starts_with: tuple[SecretName, ...]
    holds: tuple[SecretName, ...]
    placeholders: tuple[SecretName, ...]
    paths: tuple[str, ...]
    scopes: tuple[Scope, ...]
    digest: Digest
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """How a change that widens what somebody may do is put to the person. `claims` are a server's own words.

    `choices` are how far a yes may reach, the narrowest first.
    """

    title: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change that widens what somebody may do, put to the person in the window.

    `facts` are (label, value) pairs in the order to show, each value untrusted plain text, never cut.
    `claims` are such pairs too, but in the words of a server; the person must have read both. `choices` are how far
    a yes may reach, at most `MAX_CHOICES` texts of ours, the narrowest first; empty where there is nothing to choose.
    """

    id: CallId
    asked_at: datetime
    title: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    digest: Digest
    patience_s: float
    claims: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the person decided. `digest` is that of the question that was on the screen.

    `choice` is the place of what was chosen of a proposal's choices; the narrowest where nothing was.
    """

    verdict: Verdict
    scope: Scope
    digest: Digest
    choice: int = 0


class Withdrawal(StrEnum):
    """Why a question goes away without an answer; each is a sentence's ending for the dialog."""

    CLIENT_GAVE_UP = "the client gave up"
    TOO_LATE = "the time is over"
    LOCKED_DOWN = "everything was locked"
    CORE_STOPPED = "the gateway stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The question became visible (or visible again)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The question is no longer visible, or the screen was locked: its patience stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """There is no longer anybody at the desk."""


DeskEvent = Shown | Hidden | Gone | Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A remembered yes: one exact call (`digest`), one client, one session."""

    id: GrantId
    client: ClientName
    session: SessionId
    server: ServerName
    subject: str
    digest: Digest
    granted_at: datetime
    used: int = 0
