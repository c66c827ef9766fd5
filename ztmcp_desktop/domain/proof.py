"""What each stage established; a later stage asks for the proofs it needs by type."""

from dataclasses import dataclass
from enum import StrEnum

from ztmcp_desktop.domain.names import ClientName, Digest, RuleId, SecretName, ServerName
from ztmcp_desktop.domain.offer import Pin
from ztmcp_desktop.domain.risk import Risk

Kinds = tuple[tuple[str, int], ...]
"""Kinds of sensitive data with how often each was found, e.g. `(("EMAIL", 2),)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the audit record is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated(Proof):
    """A live token of this client, for this server.

    `unlike` is the program that the token was known with, where another one, or one that cannot be found out, uses it.
    """

    client: ClientName
    server: ServerName
    unlike: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified(Proof):
    """The target, frozen from here on, as the person approved it. `pin.item` is not written to the ledger."""

    server: ServerName
    subject: str
    pin: Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Proof):
    """The surrogates that were turned back, and that the arguments fit the pinned schema."""

    kinds: Kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted(Proof):
    """What a server asks of the client asks for no secret and leads to no misleading address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified(Proof):
    """How dangerous the call is, what it does, and by which signs (each a short sentence for the person)."""

    risk: Risk
    effects: tuple[str, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined(Proof):
    """What the arguments name, resolved, all of it inside the server's limits."""

    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


class Asking(StrEnum):
    """Whether the person is to be asked."""

    ASK = "ask"
    UNASKED = "unasked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Proof):
    """A rule permits the call; `rules` are those that decided, `because` says why the person is asked."""

    asking: Asking
    rules: tuple[RuleId, ...]
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedArguments(Proof):
    """Sensitive data found in the arguments; `altered` are those kinds that a rule had replaced."""

    kinds: Kinds
    altered: tuple[str, ...] = ()


class ConsentedBy(StrEnum):
    """Who said yes."""

    PERSON = "person"
    GRANT = "grant"
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consented(Proof):
    """A yes to exactly what `digest` covers. `name` is the grant's id or the rule's, empty for a person."""

    digest: Digest
    by: ConsentedBy
    name: str = ""
    asked_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected(Proof):
    """The names of the secrets that were put in."""

    names: tuple[SecretName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Proof):
    """The server answered."""

    duration_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened(Proof):
    """What was found in the answer that is meant for the model or to deceive a reader."""

    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedResult(Proof):
    """Sensitive data replaced in the answer, and echoes of secrets removed from it."""

    kinds: Kinds
    echoes: tuple[SecretName, ...] = ()
