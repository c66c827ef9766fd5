"""Who calls: a client is known by its token, never by what it says of itself."""

from dataclasses import dataclass
from datetime import datetime

from ztmcp_desktop.domain.caller import Program
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, TokenId


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A program that called as a client. `accepted`: it was the first to call, or the person said yes to it."""

    program: Program
    since: datetime
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client and its one token. `token_hash` is hex SHA-256 of 256 random bits, so it cannot be guessed.

    `bridge` is the place of the program that may come over the bridge, which has no token; empty for all others.
    `seen` are the programs that called, the first one first; `last` is the one that called last.
    """

    name: ClientName
    token: TokenId
    token_hash: str
    servers: tuple[ServerName, ...]
    created: datetime
    expires: datetime
    bridge: str = ""
    seen: tuple[Seen, ...] = ()
    last: Program | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """What the bearer token proved. Decides everything; what the caller says of itself decides nothing."""

    client: ClientName
    token: TokenId
    session: SessionId
