"""The known clients: a static token each, kept as a hash, or logins; checked at every request."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from ztmcp_desktop.domain.caller import Attested, Caller, Program
from ztmcp_desktop.domain.client import ALL_RIGHTS, Client, Principal, Registration, Rights
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import NAME_RULE, ClientName, ServerName, SessionId, TokenId, is_name
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.gateway.acquaintances import known_programs, with_program
from ztmcp_desktop.gateway.client_record import read_clients, row_of
from ztmcp_desktop.gateway.oauth.logins import ACCESS_PREFIX, ClientLogins, LoggedIn
from ztmcp_desktop.gateway.sessions import Sessions
from ztmcp_desktop.ports import Clock, StateStore

MAX_CLIENTS = 256
MAX_LIFE_S = 10 * 366 * 86400.0
TOKEN_PREFIX = "ztmcp_"  # noqa: S105 - what tokens begin with, for secret scanners
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"ztmcp_[A-Za-z0-9_-]{43}", re.ASCII)
_RECORD = "clients"
_SEEN_RECORD = "clients-seen"


class Clients:
    """The client book, kept in the state record `clients`; a forged record refuses everybody.

    `logins` are those of the clients that log in.
    """

    def __init__(self, state: StateStore, clock: Clock, sessions: Sessions) -> None:
        self.logins = ClientLogins(state, clock)
        self._state = state
        self._clock = clock
        self._sessions = sessions
        self._loaded: dict[ClientName, Client] | None = None
        self._seen: dict[ClientName, datetime] = {}
        self._seen_changed = False

    def authenticate(self, untrusted_token: str, server: ServerName) -> Principal:
        login = self.logins.find(untrusted_token) if untrusted_token.startswith(ACCESS_PREFIX) else None
        client = self._clients.get(login.client) if login else self._holder(untrusted_token)
        if client is None or client.bridge or not self._good_for(client, server):
            raise _unauthenticated()
        if login is not None and login.server != server:
            raise _unauthenticated()
        return self._principal(client, server, login)

    def admit(self, program: Program, server: ServerName) -> Principal:
        found = self.bridged(program)
        if found is None or not self._good_for(found, server):
            raise _unauthenticated()
        return self._principal(found, server, None)

    def bridged(self, program: Program) -> Client | None:
        return next((client for client in self._clients.values() if client.bridge == program.place), None)

    def confirm(self, principal: Principal, server: ServerName) -> None:
        client = self._clients.get(principal.client)
        if client is None or client.token != principal.token or not self._good_for(client, server):
            raise _unauthenticated()
        if principal.login is not None and not self.logins.alive(principal.login, server):
            raise _unauthenticated()

    def meet(self, principal: Principal, caller: Caller) -> Program | None:
        client = self._clients.get(principal.client)
        if client is None or client.token != principal.token:
            return None
        known = known_programs(client)
        if not isinstance(caller, Attested):
            return known[-1] if known else None
        if caller.program == client.last and caller.program in known:
            return None
        noted = with_program(client, caller.program, self._clock.now(), accepted=not known)
        if noted.seen != client.seen:
            self._store({**self._clients, client.name: noted})
        else:
            # Which of the programs that were seen called last is not worth a write to the disk.
            self._clients[client.name] = noted
        known = known_programs(noted)
        return None if caller.program in known else known[-1]

    def accept(self, principal: Principal, caller: Caller) -> None:
        client = self._clients.get(principal.client)
        if client is None or client.token != principal.token or not isinstance(caller, Attested):
            return
        noted = with_program(client, caller.program, self._clock.now(), accepted=True)
        self._store({**self._clients, client.name: noted})

    def all(self) -> tuple[Client, ...]:
        known = sorted(self._clients.values(), key=lambda client: client.name)
        return tuple(replace(client, last_at=self._seen.get(client.name)) for client in known)

    def add(
        self,
        name: ClientName,
        servers: tuple[ServerName, ...],
        life_s: float,
        rights: Rights = ALL_RIGHTS,
        bridge: str = "",
    ) -> Sealed[str]:
        self._require_room(name)
        if bridge and any(client.bridge == bridge for client in self._clients.values()):
            raise Denial(Code.NOT_PERMITTED, "this program is a client already; revoke that one first")
        if not 0 < life_s <= MAX_LIFE_S:
            raise Denial(Code.NOT_PERMITTED, "a token lives more than no time and at most ten years")
        token = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock.now()
        client = Client(
            name=name,
            token=TokenId(secrets.token_hex(8)),
            token_hash=_hash(token),
            rights=tuple((server, rights) for server in dict.fromkeys(servers)),
            created=now,
            expires=now + timedelta(seconds=life_s),
            bridge=bridge,
        )
        self._store({**self._clients, name: client})
        return Sealed(token)

    def let_in(self, name: ClientName, registration: Registration, server: ServerName, rights: Rights) -> Client:
        known = self._clients.get(name)
        if known is None:
            self._require_room(name)
            now = self._clock.now()
            known = Client(
                name=name,
                token=TokenId(secrets.token_hex(8)),
                token_hash="",
                rights=(),
                created=now,
                expires=now + timedelta(seconds=MAX_LIFE_S),
            )
        elif known.registration is None or known.registration.id != registration.id:
            raise Denial(Code.NOT_PERMITTED, f"{name} is another client")
        held = {**dict(known.rights), server: known.rights_at(server) | rights}
        client = replace(known, registration=registration, rights=tuple(held.items()))
        self._store({**self._clients, name: client})
        return client

    def registered(self, registration_id: str) -> Client | None:
        return next(
            (one for one in self._clients.values() if one.registration and one.registration.id == registration_id), None
        )

    def widen(self, name: ClientName, servers: tuple[ServerName, ...]) -> None:
        client = self._clients.get(name)
        if client is None:
            raise Denial(Code.NOT_PERMITTED, f"there is no client {name}")
        held = {**dict(client.rights), **dict.fromkeys(servers, ALL_RIGHTS)}
        self._store({**self._clients, name: replace(client, rights=tuple(held.items()))})

    def revoke(self, name: ClientName) -> bool:
        client = self._clients.get(name)
        if client is None:
            return False
        self._store({key: kept for key, kept in self._clients.items() if key != name})
        self.logins.end_of(name)
        self._seen.pop(name, None)
        self._sessions.end(name, client.token)
        return True

    def on_revoke(self, listener: Callable[[ClientName, SessionId | None], None]) -> None:
        self._sessions.on_end(listener)

    def on_login_end(self, listener: Callable[[LoggedIn], None]) -> None:
        """Call `listener` whenever a login ends before its time, before the ending returns."""
        self.logins.on_end(listener)

    async def keep_seen(self) -> None:
        """Write down when each was seen last, if that changed; off the loop, since the disk may be slow."""
        if not self._seen_changed:
            return
        self._seen_changed = False
        seen: JsonObject = {name: at.isoformat() for name, at in self._seen.items()}
        await asyncio.to_thread(self._state.save, _SEEN_RECORD, seen)

    def _holder(self, untrusted_token: str) -> Client | None:
        """The client of this static token."""
        found: Client | None = None
        if _TOKEN.fullmatch(untrusted_token):
            digest = _hash(untrusted_token)
            # Every client is compared, each in constant time, so that timing tells nothing.
            for client in self._clients.values():
                if hmac.compare_digest(client.token_hash, digest):
                    found = client
        return found

    def _require_room(self, name: ClientName) -> None:
        if not is_name(name):
            raise Denial(Code.NOT_PERMITTED, NAME_RULE)
        if name in self._clients:
            raise Denial(Code.NOT_PERMITTED, f"there is a client {name} already; revoke it first")
        if len(self._clients) >= MAX_CLIENTS:
            raise Denial(Code.NOT_PERMITTED, f"there are {MAX_CLIENTS} clients already; revoke one first")

    @property
    def _clients(self) -> dict[ClientName, Client]:
        if self._loaded is None:
            record = self._state.load(_RECORD)
            self._loaded = {} if record is None else read_clients(record)
            self._seen = _read_seen(self._state)
        return self._loaded

    def _store(self, clients: dict[ClientName, Client]) -> None:
        # Saved first: a change that is not on the disk must not be in force.
        self._state.save(_RECORD, {"clients": [row_of(client) for client in clients.values()]})
        self._loaded = clients

    def _principal(self, client: Client, server: ServerName, login: LoggedIn | None) -> Principal:
        session = self._sessions.touch(client.name, client.token)
        self._seen[client.name] = self._clock.now()
        self._seen_changed = True
        return Principal(
            client=client.name,
            token=client.token,
            session=session,
            rights=client.rights_at(server) & (login.rights if login else ALL_RIGHTS),
            login=login.id if login else None,
        )

    def _good_for(self, client: Client, server: ServerName) -> bool:
        return server in client.servers and self._clock.now() < client.expires


def _unauthenticated() -> Denial:
    return Denial(Code.UNAUTHENTICATED, "there is no live token of a known client for this server")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read_seen(state: StateStore) -> dict[ClientName, datetime]:
    try:
        record = state.load(_SEEN_RECORD) or {}
        return {ClientName(name): datetime.fromisoformat(at) for name, at in record.items()}
    except (Denial, TypeError, ValueError):
        # It is only shown, so one that cannot be read is one that is not there.
        return {}
