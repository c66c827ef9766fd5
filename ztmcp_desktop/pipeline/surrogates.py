"""The stand-ins for masked values: stable for one session and server, in memory only, never in a text form."""

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from ztmcp_desktop.domain.names import ServerName, SessionId
from ztmcp_desktop.domain.proof import Kinds

MAX_VALUES = 10_000
MAX_BOOKS = 1024
_TOKEN = re.compile(r"<[A-Z][A-Z0-9_]{0,40}_[1-9][0-9]{0,5}>", re.ASCII)


@dataclass(slots=True, repr=False)
class _Book:
    """What was masked for one session and server. Its values are never shown, so it has no representation."""

    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def stand_in(self, kind: str, value: str) -> str:
        known = self.tokens.get((kind, value))
        if known is not None:
            return known
        if len(self.values) >= MAX_VALUES:
            return f"<{kind}>"
        self.counts[kind] = self.counts.get(kind, 0) + 1
        token = f"<{kind}_{self.counts[kind]}>"
        self.tokens[kind, value] = token
        self.values[token] = (kind, value)
        return token


class Surrogates:
    """The books of all sessions; the longest unused one goes when there are too many. For any thread.

    Large answers are masked in worker threads, and two values must never get one stand-in.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: OrderedDict[tuple[SessionId, ServerName], _Book] = OrderedDict()

    def stand_in(self, session: SessionId, server: ServerName, kind: str, value: str) -> str:
        """The stand-in of `value`, e.g. `<EMAIL_3>`: the same for the same value.

        When too many are kept it has no number (`<EMAIL>`) and is never turned back.
        """
        with self._lock:
            book = self._books.setdefault((session, server), _Book())
            self._books.move_to_end((session, server))
            while len(self._books) > MAX_BOOKS:
                self._books.popitem(last=False)
            return book.stand_in(kind, value)

    def restore(self, session: SessionId, server: ServerName, text: str) -> tuple[str, Kinds]:
        """`text` with the stand-ins of this session and server turned back, and how many of each kind there were."""
        book = self._books.get((session, server))
        if book is None or "<" not in text:
            return text, ()
        kinds: dict[str, int] = {}

        def value_of(match: re.Match[str]) -> str:
            found = book.values.get(match[0])
            if found is None:
                return match[0]
            kinds[found[0]] = kinds.get(found[0], 0) + 1
            return found[1]

        return _TOKEN.sub(value_of, text), tuple(sorted(kinds.items()))

    def forget(self, session: SessionId) -> None:
        """Forget every value of a session that is over."""
        with self._lock:
            for key in [key for key in self._books if key[0] == session]:
                del self._books[key]
