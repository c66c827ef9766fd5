"""What the gateway holds for one remote server: how it is known to the authorization server, and its tokens."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import SecretName
from ztmcp_desktop.domain.sealed import Sealed

# A token is renewed when it has this long to live, or a tenth of its life where that is less.
RENEW_S = 60.0
MAX_LIFE_S = 10.0 * 365 * 24 * 3600


class How(StrEnum):
    """How the authorization server knows the gateway, in the order of the specification."""

    BEFOREHAND = "registered beforehand"
    DOCUMENT = "by a public document"
    DYNAMIC = "registered just now"


class Flow(StrEnum):
    """How tokens are got."""

    PERSON = "authorization_code"
    CLIENT = "client_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The gateway as a client of one authorization server.

    `secret` came with a registration; `secret_name` is a secret or private key that the person keeps. `port` is the one
    that its callback address was registered with.
    """

    how: How
    client_id: str
    method: str
    secret: Sealed[str] | None = None
    secret_name: SecretName | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a token endpoint gave. `scopes` is None where it gave just what was asked for."""

    access: Sealed[str]
    refresh: Sealed[str] | None
    got_at: datetime
    life_s: float | None
    scopes: tuple[str, ...] | None = None

    def old(self, now: datetime) -> bool:
        """Whether it is time for new ones."""
        if self.life_s is None:
            return False
        return now >= self.got_at + timedelta(seconds=self.life_s - min(RENEW_S, self.life_s / 10))

    def dead(self, now: datetime) -> bool:
        """Whether nobody takes them any more."""
        return self.life_s is not None and now >= self.got_at + timedelta(seconds=self.life_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A login: for the server at `url`, whose tokens are for `resource`, at one issuer and nobody else."""

    url: str
    resource: str
    issuer: str
    token_endpoint: str
    flow: Flow
    registration: Registration
    scopes: tuple[str, ...] = ()
    tokens: Tokens | None = field(default=None, repr=False)

    def allowed(self) -> tuple[str, ...]:
        """The scopes that the tokens have, as far as is known."""
        given = self.tokens.scopes if self.tokens else None
        return self.scopes if given is None else given


def pack(held: Held) -> Sealed[str]:
    """As the keychain keeps it."""
    registration, tokens = held.registration, held.tokens
    return Sealed(
        json.dumps(
            {
                "url": held.url,
                "resource": held.resource,
                "issuer": held.issuer,
                "token_endpoint": held.token_endpoint,
                "flow": held.flow.value,
                "scopes": held.scopes,
                "registration": {
                    "how": registration.how.value,
                    "client_id": registration.client_id,
                    "method": registration.method,
                    "secret": registration.secret.open() if registration.secret else None,
                    "secret_name": registration.secret_name,
                    "port": registration.port,
                },
                "tokens": tokens
                and {
                    "access": tokens.access.open(),
                    "refresh": tokens.refresh.open() if tokens.refresh else None,
                    "got_at": tokens.got_at.isoformat(),
                    "life_s": tokens.life_s,
                    "scopes": tokens.scopes,
                },
            }
        )
    )


def unpack(stored: Sealed[str]) -> Held:
    """What `pack` made.

    Raises:
        Denial: it is something else (`gateway-fault`).
    """
    try:
        found = json.loads(stored.open())
        return Held(
            url=found["url"],
            resource=found["resource"],
            issuer=found["issuer"],
            token_endpoint=found["token_endpoint"],
            flow=Flow(found["flow"]),
            scopes=tuple(found["scopes"]),
            registration=_registration(found["registration"]),
            tokens=_tokens(found["tokens"]) if found["tokens"] else None,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise Denial(Code.GATEWAY_FAULT, "a login in the keychain is damaged; log out and in again") from error


def _registration(found: dict[str, Any]) -> Registration:
    return Registration(
        how=How(found["how"]),
        client_id=found["client_id"],
        method=found["method"],
        secret=_sealed(found["secret"]),
        secret_name=SecretName(found["secret_name"]) if found["secret_name"] else None,
        port=found["port"],
    )


def _tokens(found: dict[str, Any]) -> Tokens:
    return Tokens(
        access=Sealed(found["access"]),
        refresh=_sealed(found["refresh"]),
        got_at=datetime.fromisoformat(found["got_at"]),
        life_s=found["life_s"],
        scopes=None if found["scopes"] is None else tuple(found["scopes"]),
    )


def _sealed(value: str | None) -> Sealed[str] | None:
    return None if value is None else Sealed(value)
