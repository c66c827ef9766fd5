"""The known clients: one token each, kept as a hash, checked at every request."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from ztmcp_desktop.domain.caller import Attested, Caller, Program
from ztmcp_desktop.domain.client import Client, Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import NAME_RULE, ClientName, ServerName, SessionId, TokenId, is_name
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.gateway.acquaintances import known_programs, read_seen, seen_row, with_program
from ztmcp_desktop.gateway.sessions import Sessions
from ztmcp_desktop.ports import Clock, StateStore

MAX_CLIENTS = 256
MAX_LIFE_S = 10 * 366 * 86400.0
TOKEN_PREFIX = "ztmcp_"  # noqa: S105 - what tokens begin with, for secret scanners
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"ztmcp_[A-Za-z0-9_-]{43}", re.ASCII)
_RECORD = "clients"


class Clients:
    """The client book, kept in the state record `clients`; a forged record refuses everybody."""

    def __init__(self, state: StateStore, clock: Clock, sessions: Sessions) -> None:
        self._state = state
        self._clock = clock
        self._sessions = sessions
        self._loaded: dict[ClientName, Client] | None = None

    def authenticate(self, untrusted_token: str, server: ServerName) -> Principal:
        found: Client | None = None
        if _TOKEN.fullmatch(untrusted_token):
            digest = _hash(untrusted_token)
            # Every client is compared, each in constant time, so that timing tells nothing.
            for client in self._clients.values():
                if hmac.compare_digest(client.token_hash, digest):
                    found = client
        if found is None or found.bridge or not self._good_for(found, server):
            raise _unauthenticated()
        return self._principal(found)

    def admit(self, program: Program, server: ServerName) -> Principal:
        found = self.bridged(program)
        if found is None or not self._good_for(found, server):
            raise _unauthenticated()
        return self._principal(found)

    def bridged(self, program: Program) -> Client | None:
        return next((client for client in self._clients.values() if client.bridge == program.place), None)

    def confirm(self, principal: Principal, server: ServerName) -> None:
        client = self._clients.get(principal.client)
        if client is None or client.token != principal.token or not self._good_for(client, server):
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
        return tuple(sorted(self._clients.values(), key=lambda client: client.name))

    def add(self, name: ClientName, servers: tuple[ServerName, ...], life_s: float, bridge: str = "") -> Sealed[str]:
        if not is_name(name):
            raise Denial(Code.NOT_PERMITTED, NAME_RULE)
        if name in self._clients:
            raise Denial(Code.NOT_PERMITTED, f"there is a client {name} already; revoke it first")
        if len(self._clients) >= MAX_CLIENTS:
            raise Denial(Code.NOT_PERMITTED, f"there are {MAX_CLIENTS} clients already; revoke one first")
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
            servers=tuple(dict.fromkeys(servers)),
            created=now,
            expires=now + timedelta(seconds=life_s),
            bridge=bridge,
        )
        self._store({**self._clients, name: client})
        return Sealed(token)

    def widen(self, name: ClientName, servers: tuple[ServerName, ...]) -> None:
        client = self._clients.get(name)
        if client is None:
            raise Denial(Code.NOT_PERMITTED, f"there is no client {name}")
        self._store({**self._clients, name: replace(client, servers=tuple(dict.fromkeys((*client.servers, *servers))))})

    def revoke(self, name: ClientName) -> bool:
        client = self._clients.get(name)
        if client is None:
            return False
        self._store({key: kept for key, kept in self._clients.items() if key != name})
        self._sessions.end(name, client.token)
        return True

    def on_revoke(self, listener: Callable[[ClientName, SessionId | None], None]) -> None:
        self._sessions.on_end(listener)

    @property
    def _clients(self) -> dict[ClientName, Client]:
        if self._loaded is None:
            record = self._state.load(_RECORD)
            self._loaded = {} if record is None else _read(record)
        return self._loaded

    def _store(self, clients: dict[ClientName, Client]) -> None:
        # Saved first: a change that is not on the disk must not be in force.
        self._state.save(_RECORD, {"clients": [_row(client) for client in clients.values()]})
        self._loaded = clients

    def _principal(self, client: Client) -> Principal:
        session = self._sessions.touch(client.name, client.token)
        return Principal(client=client.name, token=client.token, session=session)

    def _good_for(self, client: Client, server: ServerName) -> bool:
        return server in client.servers and self._clock.now() < client.expires


def _unauthenticated() -> Denial:
    return Denial(Code.UNAUTHENTICATED, "there is no live token of a known client for this server")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _row(client: Client) -> JsonObject:
    return {
        "name": client.name,
        "token": client.token,
        "token_hash": client.token_hash,
        "servers": list(client.servers),
        "created": client.created.isoformat(),
        "expires": client.expires.isoformat(),
        "bridge": client.bridge,
        "seen": [seen_row(seen) for seen in client.seen],
        "last": client.last.as_json() if client.last else None,
    }


def _read(record: JsonObject) -> dict[ClientName, Client]:
    try:
        clients = [
            Client(
                name=ClientName(row["name"]),
                token=TokenId(row["token"]),
                token_hash=row["token_hash"],
                servers=tuple(ServerName(server) for server in row["servers"]),
                created=datetime.fromisoformat(row["created"]),
                expires=datetime.fromisoformat(row["expires"]),
                # Records of earlier versions have none of these.
                bridge=row.get("bridge", ""),
                seen=tuple(read_seen(seen) for seen in row.get("seen", ())),
                last=Program(**row["last"]) if row.get("last") else None,
            )
            for row in record["clients"]
        ]
    except (KeyError, TypeError, ValueError):
        raise Denial(Code.GATEWAY_FAULT, "the record of the clients cannot be read") from None
    return {client.name: client for client in clients}
