"""How the timeline says what happened."""

from datetime import UTC, datetime, timedelta

from ztmcp_desktop.domain.ledger import EntryKind, TimelineItem
from ztmcp_desktop.domain.subscription import OF_SUBSCRIPTIONS
from ztmcp_desktop.ui.event_words import event_sentence
from ztmcp_desktop.ui.sentence import cut
from ztmcp_desktop.ui.shapes import Mark

_CALLS = frozenset({EntryKind.OPENED, EntryKind.CLOSED})
# What no client says, so that the arrow goes the other way.
_OF_SERVERS = OF_SUBSCRIPTIONS | {"notifications/message"}
_MARKS = {"allowed": Mark.TICK, "denied": Mark.CROSS, "failed": Mark.BREAK}
_WORDS = {"allowed": "allowed", "denied": "refused", "failed": "failed"}
_REASONS = {
    "unauthenticated": "no valid token",
    "not-permitted": "not permitted",
    "refused-by-rule": "a rule forbids it",
    "refused-by-person": "you said no",
    "no-answer": "nobody answered",
    "nobody-there": "nobody was there",
    "outside-limits": "outside its limits",
    "changed-since-approval": "changed since approval",
    "schema-mismatch": "does not fit the schema",
    "secret-missing": "a secret is missing",
    "blocked-content": "blocked content",
    "withdrawn": "the client gave up",
    "interrupted": "interrupted by a crash",
    "server-unavailable": "server unavailable",
    "too-slow": "too slow",
    "too-large": "too large",
    "locked-down": "locked down",
    "gateway-fault": "fault of the gateway",
}


def mark_of(item: TimelineItem) -> Mark:
    """The shape of its verdict."""
    if item.outcome:
        return _MARKS.get(item.outcome, Mark.BREAK)
    return Mark.RING if item.kind is EntryKind.OPENED else Mark.DOT


def verdict_of(item: TimelineItem) -> str:
    """The word of its verdict."""
    if item.outcome:
        return _WORDS.get(item.outcome, item.outcome)
    return "open" if item.kind is EntryKind.OPENED else "event"


def reason_of(code: str) -> str:
    """Why, in a few words; empty where nothing was refused."""
    return _REASONS.get(code, code)


def sentence_of(item: TimelineItem) -> str:
    """`claude-code → files.write_file`; what others named is cut and made visible."""
    if item.kind is EntryKind.NOTICE and item.method in _OF_SERVERS:
        return f"{cut(item.server, 40)} → {cut(item.client, 40)}  {item.method}"
    if item.kind in _CALLS or item.kind is EntryKind.NOTICE:
        subject = cut(item.subject, 120)
        what = subject if item.method in {item.subject, "tools/call"} else f"{item.method}  {subject}"
        return f"{cut(item.client, 40)} → {cut(item.server, 40)}.{what}"
    if item.kind is EntryKind.REJECTED:
        return f"refused at the door: {cut(item.subject or item.method or item.server, 120)}"
    return event_sentence(item)


def duration_text(duration_ms: int | None) -> str:
    """`3 ms`, `1.2 s`, `2 min`; empty where there is none."""
    if duration_ms is None:
        return ""
    if duration_ms < 1000:  # noqa: PLR2004 - milliseconds in a second
        return f"{duration_ms} ms"
    seconds = duration_ms / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - two minutes


def day_text(day: datetime, today: datetime) -> str:
    """`Today`, `Yesterday` or the date, in the person's own time zone."""
    there, here = day.astimezone().date(), today.astimezone().date()
    if there == here:
        return "Today"
    if there == here - timedelta(days=1):
        return "Yesterday"
    return f"{there:%A}, {there.day} {there:%B %Y}"


def clock_of(at: datetime) -> str:
    """Hours, minutes and seconds, in the person's own time zone."""
    return at.astimezone().strftime("%H:%M:%S")


def now() -> datetime:
    """The time of day, aware."""
    return datetime.now(UTC)
