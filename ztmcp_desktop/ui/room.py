"""Shares the height of a window out among parts that can scroll."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What a part needs to be of use, what it would fill at most before others had theirs, and what it fills in all."""

    least: int
    fair: int
    whole: int


def share(room: int, wants: Iterable[Want]) -> tuple[int, ...]:
    """Pixels for each: first what all need at least, then the fair parts, then the whole ones, in their order.

    Where not even the least fits, each still gets that; the window then cuts the last of them.
    """
    parts = tuple(wants)
    given = [min(part.least, part.whole) for part in parts]
    left = room - sum(given)
    for aims in ([part.fair for part in parts], [part.whole for part in parts]):
        for at, aim in enumerate(aims):
            more = max(0, min(left, min(aim, parts[at].whole) - given[at]))
            given[at] += more
            left -= more
    return tuple(given)
