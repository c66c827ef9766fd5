"""Who calls: a client is known by its token, never by what it says of itself."""

from dataclasses import dataclass
from datetime import datetime

from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, TokenId


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client and its one token. `token_hash` is hex SHA-256 of 256 random bits, so it cannot be guessed."""

    name: ClientName
    token: TokenId
    token_hash: str
    servers: tuple[ServerName, ...]
    created: datetime
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """What the bearer token proved. Decides everything; what the caller says of itself decides nothing."""

    client: ClientName
    token: TokenId
    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The other end of a connection as the operating system reports it; shown, and decides nothing."""

    pid: int
    executable: str
    arguments: tuple[str, ...]
