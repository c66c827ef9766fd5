"""How the client book is written down in its state record."""

from datetime import datetime

from ztmcp_desktop.domain.caller import Program
from ztmcp_desktop.domain.client import ALL_RIGHTS, Client, Introduction, Registration, Right, Rights
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName, TokenId
from ztmcp_desktop.gateway.acquaintances import read_seen, seen_row


def row_of(client: Client) -> JsonObject:
    """A client as it is stored; when it was seen last is kept elsewhere."""
    return {
        "name": client.name,
        "token": client.token,
        "token_hash": client.token_hash,
        "rights": {server: rights_json(rights) for server, rights in client.rights},
        "created": client.created.isoformat(),
        "expires": client.expires.isoformat(),
        "bridge": client.bridge,
        "seen": [seen_row(seen) for seen in client.seen],
        "last": client.last.as_json() if client.last else None,
        "registration": None if client.registration is None else _registration_row(client.registration),
    }


def rights_json(rights: Rights) -> list[Json]:
    """Rights as texts, the smallest first."""
    return [right.value for right in Right if right in rights]


def read_clients(record: JsonObject) -> dict[ClientName, Client]:
    """The clients of a stored record.

    Raises:
        Denial: it cannot be read, and then nobody is known (`gateway-fault`).
    """
    try:
        clients = [_client(row) for row in record["clients"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Denial(Code.GATEWAY_FAULT, "the record of the clients cannot be read") from None
    return {client.name: client for client in clients}


def _client(row: JsonObject) -> Client:
    registration = row.get("registration")
    return Client(
        name=ClientName(row["name"]),
        token=TokenId(row["token"]),
        token_hash=row["token_hash"],
        rights=_rights(row),
        created=datetime.fromisoformat(row["created"]),
        expires=datetime.fromisoformat(row["expires"]),
        registration=None if registration is None else _registration(registration),
        # Records of earlier versions have none of these.
        bridge=row.get("bridge", ""),
        seen=tuple(read_seen(seen) for seen in row.get("seen", ())),
        last=Program(**row["last"]) if row.get("last") else None,
    )


def _rights(row: JsonObject) -> tuple[tuple[ServerName, Rights], ...]:
    if "rights" not in row:
        # As it was written before tokens had scopes: each was good for everything at its servers.
        return tuple((ServerName(server), ALL_RIGHTS) for server in row["servers"])
    return tuple(
        (ServerName(server), frozenset(Right(right) for right in rights)) for server, rights in row["rights"].items()
    )


def _registration_row(registration: Registration) -> JsonObject:
    return {
        "id": registration.id,
        "introduction": registration.introduction.value,
        "claimed_name": registration.claimed_name,
        "redirect_uris": list(registration.redirect_uris),
        "program": registration.program,
    }


def _registration(row: JsonObject) -> Registration:
    return Registration(
        id=row["id"],
        introduction=Introduction(row["introduction"]),
        claimed_name=row["claimed_name"],
        redirect_uris=tuple(row["redirect_uris"]),
        program=row["program"],
    )
