"""Which programs a client was seen as, and which of them count as known."""

from dataclasses import replace
from datetime import datetime

from ztmcp_desktop.domain.caller import Program
from ztmcp_desktop.domain.client import Client, Seen
from ztmcp_desktop.domain.json import JsonObject

MAX_SEEN = 8


def known_programs(client: Client) -> tuple[Program, ...]:
    """The programs that count as this client: the first one, and those that the person said yes to."""
    return tuple(seen.program for seen in client.seen if seen.accepted)


def with_program(client: Client, program: Program, now: datetime, *, accepted: bool) -> Client:
    """The client with a program that called. Of many the oldest makes room, strangers first and the first one never."""
    found = next((seen for seen in client.seen if seen.program == program), None)
    if found is None:
        seen = (*_with_room(client.seen), Seen(program=program, since=now, accepted=accepted))
    elif accepted and not found.accepted:
        seen = tuple(replace(one, accepted=True) if one is found else one for one in client.seen)
    else:
        seen = client.seen
    return replace(client, seen=seen, last=program)


def _with_room(seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
    if len(seen) < MAX_SEEN:
        return seen
    leaves = next((one for one in seen[1:] if not one.accepted), seen[1])
    return tuple(one for one in seen if one is not leaves)


def seen_row(seen: Seen) -> JsonObject:
    """For the record on disk."""
    return {"program": seen.program.as_json(), "since": seen.since.isoformat(), "accepted": seen.accepted}


def read_seen(row: JsonObject) -> Seen:
    """From the record on disk, which is under an HMAC of ours.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    return Seen(
        program=Program(**row["program"]), since=datetime.fromisoformat(row["since"]), accepted=bool(row["accepted"])
    )
