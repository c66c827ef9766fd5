"""The rows of the ledger, before and after they are written."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId


class EntryKind(StrEnum):
    """What a row tells of."""

    OPENED = "opened"
    CLOSED = "closed"
    REJECTED = "rejected"
    NOTICE = "notice"
    LOCK = "lock"
    GRANT = "grant"
    PIN = "pin"
    SERVER = "server"
    CLIENT = "client"
    SECRET = "secret"  # noqa: S105 - a kind of row
    RULE = "rule"
    SETTINGS = "settings"
    GATEWAY = "gateway"
    PRUNE = "prune"
    CHECKPOINT = "checkpoint"


class Outcome(StrEnum):
    """How it ended."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A row to be written. Every text in it is masked already; the ledger cuts, chains, signs and dates it."""

    kind: EntryKind
    call: CallId | None = None
    client: str = ""
    server: str = ""
    method: str = ""
    subject: str = ""
    outcome: Outcome | None = None
    code: Code | None = None
    body: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row as it stands in the ledger. `body` is canonical JSON, `prev` and `hash` are hex SHA-256."""

    seq: int
    at: datetime
    kind: EntryKind
    call: str
    client: str
    server: str
    method: str
    subject: str
    outcome: str
    code: str
    body: str
    prev: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What of the timeline to show; empty means all. `text` is searched in all text columns and the body."""

    clients: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineItem:
    """One line of the timeline: a call with its ending, or a single event. `seq` is that of its newest row.

    `outcome` is empty while a call is open; `risk` is empty where nothing was classified.
    """

    seq: int
    at: datetime
    kind: EntryKind
    call: str
    client: str
    server: str
    method: str
    subject: str
    outcome: str
    code: str
    risk: str
    duration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether the chain holds.

    `bad_seq` is the first row that does not, None where all do. `beyond_head` rows are newer than the copy of the
    signed head that is kept outside the database. `reason` is empty where all is well.
    """

    rows: int
    bad_seq: int | None
    beyond_head: int
    reason: str
