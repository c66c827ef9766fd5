"""Remembered consents, in memory: none outlives its session or the program."""

from collections import OrderedDict
from dataclasses import replace

from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.consent import Grant
from ztmcp_desktop.domain.names import ClientName, Digest, GrantId, SessionId
from ztmcp_desktop.ports import Clock

MAX_GRANTS = 1024

_Key = tuple[ClientName, SessionId, Digest]


class Grants:
    """The GrantBook: at most `MAX_GRANTS`, the oldest forgotten first, so that the worst is to be asked again.

    The grants of a session that looked for none during `idle_s` monotonic seconds are gone.
    """

    def __init__(self, clock: Clock, idle_s: float = 1800.0) -> None:
        self._clock, self._idle_s = clock, idle_s
        self._grants: OrderedDict[_Key, Grant] = OrderedDict()
        self._seen: dict[SessionId, float] = {}

    def _expire(self) -> None:
        limit = self._clock.monotonic() - self._idle_s
        for session in [session for session, seen in self._seen.items() if seen <= limit]:
            self.end_session(session)

    def find(self, principal: Principal, digest: Digest) -> Grant | None:
        self._expire()
        if principal.session in self._seen:
            self._seen[principal.session] = self._clock.monotonic()
        key = (principal.client, principal.session, digest)
        grant = self._grants.get(key)
        if grant is None:
            return None
        self._grants[key] = counted = replace(grant, used=grant.used + 1)
        return counted

    def add(self, grant: Grant) -> None:
        self._expire()
        key = (grant.client, grant.session, grant.digest)
        self._grants.pop(key, None)
        self._grants[key] = grant
        self._seen[grant.session] = self._clock.monotonic()
        if len(self._grants) > MAX_GRANTS:
            self._grants.popitem(last=False)
            self._forget_empty_sessions()

    def all(self) -> tuple[Grant, ...]:
        self._expire()
        return tuple(self._grants.values())

    def revoke(self, grant: GrantId) -> bool:
        found = [key for key, held in self._grants.items() if held.id == grant]
        for key in found:
            del self._grants[key]
        self._forget_empty_sessions()
        return bool(found)

    def end_session(self, session: SessionId) -> None:
        for key in [key for key in self._grants if key[1] == session]:
            del self._grants[key]
        self._seen.pop(session, None)

    def _forget_empty_sessions(self) -> None:
        held = {key[1] for key in self._grants}
        self._seen = {session: seen for session, seen in self._seen.items() if session in held}
