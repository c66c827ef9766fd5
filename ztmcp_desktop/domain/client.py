"""Who calls: a client is known by its token, never by what it says of itself."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ztmcp_desktop.domain.caller import Caller, Program
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, TokenId, is_name


class Right(StrEnum):
    """What a token may be used for at one server; each is a scope of OAuth, `server:NAME:read` or `server:NAME:call`.

    `READ` is for what only looks: lists, resources, prompts, completion. All else needs `CALL`.
    """

    READ = "read"
    CALL = "call"


ALL_RIGHTS = frozenset(Right)
Rights = frozenset[Right]
_SCOPE = re.compile(r"server:([a-z][a-z0-9-]{0,31}):(read|call)", re.ASCII)


def scopes(server: ServerName, rights: Iterable[Right]) -> str:
    """The scopes of these rights at `server`, the smallest first, as OAuth writes them (RFC 6749, 3.3)."""
    held = frozenset(rights)
    return " ".join(f"server:{server}:{right.value}" for right in Right if right in held)


def read_scope(untrusted: str) -> tuple[ServerName, Right] | None:
    """Server and right of a scope of ours, None for any other text."""
    found = _SCOPE.fullmatch(untrusted)
    return (ServerName(found[1]), Right(found[2])) if found and is_name(found[1]) else None


class Introduction(StrEnum):
    """How a client that logs in came to be known."""

    REGISTERED = "registered"
    """It registered itself while the person let it (RFC 7591)."""

    DOCUMENT = "document"
    """Its id is the address of a document that describes it (client ID metadata document)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A client of OAuth as it describes itself. `claimed_name` is its own word; the redirect URIs were checked.

    `program` is the place of the program that registered it, as the system reported then; empty where it did not.
    """

    id: str
    introduction: Introduction
    claimed_name: str
    redirect_uris: tuple[str, ...]
    program: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A program that called as a client. `accepted`: it was the first to call, or the person said yes to it."""

    program: Program
    since: datetime
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client that the person let in: with a static token, over the bridge, or, with a `registration`, by logging in.

    `rights` are the most that it may have at each server. `token_hash` is hex SHA-256 of 256 random bits, so it cannot
    be guessed; it is empty for a client that logs in. `bridge` is the place of the program that may come over the
    bridge, which has no token; empty for all others. `seen` are the programs that called, the first one first; `last`
    is the one that called last, and `last_at` when that was.
    """

    name: ClientName
    token: TokenId
    token_hash: str
    rights: tuple[tuple[ServerName, Rights], ...]
    created: datetime
    expires: datetime
    registration: Registration | None = None
    bridge: str = ""
    seen: tuple[Seen, ...] = ()
    last: Program | None = None
    last_at: datetime | None = None

    @property
    def servers(self) -> tuple[ServerName, ...]:
        """The servers that it may reach."""
        return tuple(server for server, _ in self.rights)

    def rights_at(self, server: ServerName) -> Rights:
        """What it may do at `server`."""
        return dict(self.rights).get(server, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """What the bearer token proved. Decides everything; what the caller says of itself decides nothing.

    `token` stays the same while the client does; `login` is the login that the token came from, None for a static one.
    `rights` are those of this token at the server that it was shown for.
    """

    client: ClientName
    token: TokenId
    session: SessionId
    rights: Rights = frozenset()
    login: TokenId | None = None

    def is_of(self, client: ClientName | None, session: SessionId | None, login: TokenId | None) -> bool:
        """Whether it is of this client, session and login; None matches all."""
        return client in {None, self.client} and session in {None, self.session} and login in {None, self.login}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A client that asks to be let in, as it is put to the person.

    `receiver` is the program that listens where the answer goes, as the system reports it. `known_as` is the name of a
    client that was let in before.
    """

    registration: Registration
    server: ServerName
    rights: Rights
    redirect_uri: str
    receiver: Caller
    known_as: ClientName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetIn:
    """The person's yes to a login, which ends at `expires`."""

    client: Client
    expires: datetime
