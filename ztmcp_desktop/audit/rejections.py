"""Counts what was refused before the gate, so that a flood becomes a few rows."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ztmcp_desktop.domain.ledger import Draft, EntryKind

MAX_CAUSES = 64
EACH_S = 1.0
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    draft: Draft
    at: datetime
    since: float
    count: int


class Rejections:
    """One draft a cause and second. Filled from the core's loop, emptied by the writing thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._causes: dict[str, _Counted] = {}

    def add(self, draft: Draft, cause: str, at: datetime) -> None:
        """Count one; the first draft of a cause stands for the others of its second."""
        with self._lock:
            if cause not in self._causes and len(self._causes) >= MAX_CAUSES - 1:
                cause = OTHER
            counted = self._causes.get(cause)
            if counted is None:
                counted = _Counted(draft=draft, at=at, since=self._monotonic(), count=0)
            self._causes[cause] = replace(counted, count=counted.count + 1)

    def waiting(self) -> bool:
        """Whether there is anything to be written, now or soon."""
        with self._lock:
            return bool(self._causes)

    def due(self) -> tuple[tuple[str, Draft, datetime], ...]:
        """The cause, draft and time of each count whose second is over; they stay until `written`."""
        return self._drafts(self._monotonic() - EACH_S)

    def all(self) -> tuple[tuple[str, Draft, datetime], ...]:
        """As `due`, without waiting for the second to end."""
        return self._drafts(self._monotonic())

    def written(self, causes: tuple[tuple[str, Draft, datetime], ...]) -> None:
        """Take off what is on record; what was counted meanwhile stays."""
        with self._lock:
            for cause, draft, _ in causes:
                counted = self._causes.pop(cause, None)
                done = int(draft.body["count"])
                if counted and counted.count > done:
                    left = replace(counted, count=counted.count - done, since=self._monotonic())
                    self._causes[cause] = left

    def _drafts(self, before: float) -> tuple[tuple[str, Draft, datetime], ...]:
        with self._lock:
            return tuple(
                (cause, _row(counted, cause), counted.at)
                for cause, counted in self._causes.items()
                if counted.since <= before
            )


def _row(counted: _Counted, cause: str) -> Draft:
    body = {**counted.draft.body, "cause": cause, "count": counted.count}
    return replace(counted.draft, kind=EntryKind.REJECTED, body=body)
