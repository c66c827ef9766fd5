"""A session: one client's token across all its servers, from its first call to a long silence."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from ztmcp_desktop.domain.names import ClientName, SessionId, TokenId
from ztmcp_desktop.ports import Clock

Listener = Callable[[ClientName, SessionId | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    id: SessionId
    client: ClientName
    used_at: float


class Sessions:
    """The live sessions, at most one a token, so never more than there are clients.

    One ends after `idle_s` seconds without a call, with its token, or with the gateway; listeners hear of it at once.
    """

    def __init__(self, clock: Clock, idle_s: float) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._live: dict[TokenId, _Session] = {}
        self._listeners: list[Listener] = []

    def on_end(self, listener: Listener) -> None:
        """Call `listener(client, session)` whenever a session ends."""
        self._listeners.append(listener)

    def touch(self, client: ClientName, token: TokenId) -> SessionId:
        """The session of this token, begun if there is none, with its silence starting anew."""
        self.sweep()
        now = self._clock.monotonic()
        found = self._live.get(token)
        if found is None:
            found = _Session(id=SessionId(secrets.token_hex(16)), client=client, used_at=now)
        self._live[token] = replace(found, used_at=now)
        return found.id

    def sweep(self) -> None:
        """End the sessions that have been silent for too long."""
        limit = self._clock.monotonic() - self._idle_s
        for token in [token for token, session in self._live.items() if session.used_at <= limit]:
            self._tell(self._live.pop(token))

    def end(self, client: ClientName, token: TokenId) -> None:
        """End the token's session; listeners are told even where there was none, since streams may be open."""
        found = self._live.pop(token, None)
        if found is not None:
            self._tell(found)
            return
        for listener in self._listeners:
            listener(client, None)

    def _tell(self, session: _Session) -> None:
        for listener in self._listeners:
            listener(session.client, session.id)
