"""The logins of clients, and the tokens that each gave: kept as hashes, rotated, ended as a family."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ztmcp_desktop.domain.client import Right, Rights
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName, TokenId
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.ports import Clock, StateStore

ACCESS_S = 600.0
MAX_LOGINS_A_CLIENT = 16
MAX_LOGINS = 1024
LACK_S = 10.0
"""How long a client may take to ask for more after it was told that its token does not reach."""
MAX_ACCESS_TOKENS = 8
ACCESS_PREFIX = "ztmcp_at_"
REFRESH_PREFIX = "ztmcp_rt_"
_ACCESS = re.compile(r"ztmcp_at_[A-Za-z0-9_-]{43}", re.ASCII)
# The login's id stands in it, so that a token that was used up is known to be one of its family.
_REFRESH = re.compile(r"ztmcp_rt_([A-Za-z0-9_-]{22})[A-Za-z0-9_-]{43}", re.ASCII)
_RECORD = "client-logins"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    hash: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """One login of a client to one server, for as long as the person said. Hashes are hex SHA-256 of 256 random bits.

    `refresh_hash` is that of the one refresh token that is good now.
    """

    id: TokenId
    client: ClientName
    server: ServerName
    rights: Rights
    created: datetime
    expires: datetime
    refresh_hash: str
    access: tuple[_Access, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a client gets, never to be had again. `life_s` is that of the access token."""

    login: LoggedIn
    access: Sealed[str]
    refresh: Sealed[str]
    life_s: float


class ClientLogins:
    """Every live login, kept in the state record `client-logins`; a forged record refuses everybody."""

    def __init__(self, state: StateStore, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._loaded: dict[TokenId, LoggedIn] | None = None
        self._by_access: dict[str, TokenId] = {}
        self._listeners: list[Callable[[LoggedIn], None]] = []
        self._lacking: dict[TokenId, float] = {}

    def lacks(self, login: TokenId) -> None:
        """Remember that a request of this login was refused for want of scope."""
        now = self._clock.monotonic()
        self._lacking = {key: at for key, at in self._lacking.items() if at + LACK_S > now} | {login: now}

    def take_lack(self, login: TokenId) -> bool:
        """Whether that was just now; said once for each time."""
        at = self._lacking.pop(login, None)
        return at is not None and at + LACK_S > self._clock.monotonic()

    def on_end(self, listener: Callable[[LoggedIn], None]) -> None:
        """Call `listener` whenever a login ends before its time, before the ending returns."""
        self._listeners.append(listener)

    def begin(self, client: ClientName, server: ServerName, rights: Rights, expires: datetime) -> Tokens:
        """A new login, with its first tokens. The oldest of a client with too many makes room.

        Raises:
            Denial: there are too many logins in all (`not-permitted`).
        """
        live = self._live()
        own = sorted((login for login in live.values() if login.client == client), key=lambda login: login.created)
        for oldest in own[: max(0, len(own) - MAX_LOGINS_A_CLIENT + 1)]:
            self.end(oldest.id)
            del live[oldest.id]
        if len(live) >= MAX_LOGINS:
            raise Denial(Code.NOT_PERMITTED, f"there are {MAX_LOGINS} logins already; revoke a client first")
        login = LoggedIn(
            id=TokenId(secrets.token_urlsafe(16)),
            client=client,
            server=server,
            rights=rights,
            created=self._clock.now(),
            expires=expires,
            refresh_hash="",
        )
        return self._issue(login)

    def named(self, untrusted_refresh: str) -> LoggedIn | None:
        """The live login whose refresh token this is or was; it proves nothing yet."""
        found = _REFRESH.fullmatch(untrusted_refresh)
        return self._live().get(TokenId(found[1])) if found else None

    def refresh(self, untrusted_refresh: str) -> Tokens:
        """New tokens for a refresh token, which is good once; used twice, it ends the login (RFC 9700, 4.14.2).

        Raises:
            Denial: it is not, or no longer, good (`unauthenticated`).
        """
        login = self.named(untrusted_refresh)
        if login is None:
            raise Denial(Code.UNAUTHENTICATED, "there is no such refresh token")
        if not hmac.compare_digest(login.refresh_hash, _hash(untrusted_refresh)):
            self.end(login.id)
            raise Denial(Code.UNAUTHENTICATED, "this refresh token was used before, so the login has ended")
        return self._issue(login)

    def find(self, untrusted_access: str) -> LoggedIn | None:
        """The login that this access token is of, None where the token is dead or was never one."""
        if not _ACCESS.fullmatch(untrusted_access):
            return None
        digest = _hash(untrusted_access)
        login = self._all.get(self._by_access.get(digest, TokenId("")))
        if login is None or login.expires <= self._clock.now():
            return None
        alive = (access.hash == digest and access.expires > self._clock.now() for access in login.access)
        return login if any(alive) else None

    def alive(self, login: TokenId, server: ServerName) -> bool:
        """Whether this login to `server` stands."""
        found = self._all.get(login)
        return found is not None and found.server == server and found.expires > self._clock.now()

    def end(self, login: TokenId) -> bool:
        """End it with all its tokens; False if there was none."""
        found = self._all.get(login)
        if found is None:
            return False
        self._store({key: kept for key, kept in self._all.items() if key != login})
        for listener in self._listeners:
            listener(found)
        return True

    def end_of(self, client: ClientName) -> None:
        """End every login of a client."""
        for login in [login.id for login in self._all.values() if login.client == client]:
            self.end(login)

    def all(self) -> tuple[LoggedIn, ...]:
        """Every live login."""
        return tuple(self._live().values())

    @property
    def _all(self) -> dict[TokenId, LoggedIn]:
        if self._loaded is None:
            record = self._state.load(_RECORD)
            self._use({} if record is None else _read(record))
        return self._loaded or {}

    def _live(self) -> dict[TokenId, LoggedIn]:
        now = self._clock.now()
        return {key: login for key, login in self._all.items() if login.expires > now}

    def _issue(self, login: LoggedIn) -> Tokens:
        now = self._clock.now()
        access = ACCESS_PREFIX + secrets.token_urlsafe(32)
        refresh = REFRESH_PREFIX + login.id + secrets.token_urlsafe(32)
        life_s = min(ACCESS_S, (login.expires - now).total_seconds())
        # Requests may be under way with the token before, so it lives out its minutes.
        kept = tuple(old for old in login.access if old.expires > now)[1 - MAX_ACCESS_TOKENS :]
        fresh = _Access(hash=_hash(access), expires=now + timedelta(seconds=life_s))
        login = replace(login, refresh_hash=_hash(refresh), access=(*kept, fresh))
        self._store({**self._live(), login.id: login})
        return Tokens(login=login, access=Sealed(access), refresh=Sealed(refresh), life_s=life_s)

    def _store(self, logins: dict[TokenId, LoggedIn]) -> None:
        # Saved first: a change that is not on the disk must not be in force.
        self._state.save(_RECORD, {"logins": [_row(login) for login in logins.values()]})
        self._use(logins)

    def _use(self, logins: dict[TokenId, LoggedIn]) -> None:
        self._loaded = logins
        self._by_access = {access.hash: login.id for login in logins.values() for access in login.access}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _row(login: LoggedIn) -> JsonObject:
    return {
        "id": login.id,
        "client": login.client,
        "server": login.server,
        "rights": [right.value for right in Right if right in login.rights],
        "created": login.created.isoformat(),
        "expires": login.expires.isoformat(),
        "refresh_hash": login.refresh_hash,
        "access": [[access.hash, access.expires.isoformat()] for access in login.access],
    }


def _read(record: JsonObject) -> dict[TokenId, LoggedIn]:
    try:
        logins = [
            LoggedIn(
                id=TokenId(row["id"]),
                client=ClientName(row["client"]),
                server=ServerName(row["server"]),
                rights=frozenset(Right(right) for right in row["rights"]),
                created=datetime.fromisoformat(row["created"]),
                expires=datetime.fromisoformat(row["expires"]),
                refresh_hash=row["refresh_hash"],
                access=tuple(_Access(hash=key, expires=datetime.fromisoformat(end)) for key, end in row["access"]),
            )
            for row in record["logins"]
        ]
    except (KeyError, TypeError, ValueError):
        raise Denial(Code.GATEWAY_FAULT, "the record of the logins cannot be read") from None
    return {login.id: login for login in logins}
