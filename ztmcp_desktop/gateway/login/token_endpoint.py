"""Requests to the token endpoint of an authorization server (OAuth 2.1, RFC 6749, RFC 7523), and what it answers."""

import base64
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.gateway.challenge import read_scopes
from ztmcp_desktop.gateway.fetch import fetch
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.login.held import MAX_LIFE_S, Held, Registration, Tokens
from ztmcp_desktop.gateway.outbound_guard import own_reach
from ztmcp_desktop.ports import Clock, Vault

SECRET_PREFIX = "secret/"  # noqa: S105 - where the keychain has the person's secrets
ASSERTION_S = 60
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# What may stand in a header after "Bearer" (RFC 6750), of a length that headers have room for.
_ACCESS = re.compile(r"[A-Za-z0-9._~+/-]{1,6000}=*")
_ALGORITHMS = ("ES256", "RS256", "EdDSA")


class Refused(Denial):
    """The authorization server says no.

    `invalid` is whether the refresh token will never do again; `unknown` is whether the registration will not either.
    """

    def __init__(self, error: str) -> None:
        self.unknown = error in {"invalid_client", "unauthorized_client"}
        self.invalid = self.unknown or error == "invalid_grant"
        known = f" ({error})" if re.fullmatch(r"[a-z_]{1,40}", error) else ""
        super().__init__(Code.SERVER_UNAVAILABLE, f"the authorization server gave no token{known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Where tokens are got. What it sends goes to the login's own endpoint, and names its resource each time."""

    http: HttpClient
    vault: Vault
    clock: Clock

    async def redeem(self, held: Held, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """Tokens for an authorization code. Raises as `_ask`."""
        grant = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
        return await self._ask(held, {"grant_type": "authorization_code", **grant})

    async def renew(self, held: Held) -> Tokens:
        """Tokens for the refresh token, which stays good if no other comes. Raises as `_ask`."""
        old = held.tokens.refresh if held.tokens else None
        if held.tokens is None or old is None:
            raise Refused("invalid_grant")
        new = await self._ask(held, {"grant_type": "refresh_token", "refresh_token": old.open()})
        scopes = held.tokens.scopes if new.scopes is None else new.scopes
        return Tokens(
            access=new.access, refresh=new.refresh or old, got_at=new.got_at, life_s=new.life_s, scopes=scopes
        )

    async def get(self, held: Held) -> Tokens:
        """Tokens for the gateway itself, without a person (RFC 6749, 4.4). Raises as `_ask`."""
        scope = {"scope": " ".join(held.scopes)} if held.scopes else {}
        return await self._ask(held, {"grant_type": "client_credentials", **scope})

    async def _ask(self, held: Held, grant: Mapping[str, str]) -> Tokens:
        """Tokens.

        Raises:
            Refused: it says no.
            Denial: its answer is no token (`server-unavailable`); as `fetch`.
        """
        headers, proof = await self._who_asks(held)
        form = {**grant, "resource": held.resource, **proof}
        document = await fetch(
            self.http,
            held.token_endpoint,
            own_reach(held.url),
            method="POST",
            headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        if document.status != 200:  # noqa: PLR2004
            raise Refused(str(document.content.get("error", "")))
        return self._tokens(document.content)

    async def _who_asks(self, held: Held) -> tuple[dict[str, str], dict[str, str]]:
        """The headers and the fields that prove who asks (OAuth 2.1, 2.4; RFC 7523, 2.2)."""
        registration = held.registration
        named = {"client_id": registration.client_id}
        match registration.method:
            case "none":
                return {}, named
            case "client_secret_basic":
                pair = f"{quote_plus(registration.client_id)}:{quote_plus(await self._secret(registration))}"
                return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}
            case "client_secret_post":
                return {}, {**named, "client_secret": await self._secret(registration)}
            case "private_key_jwt":
                signed = _signed(registration.client_id, held.issuer, await self._secret(registration))
                return {}, {**named, "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
            case _:
                raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server wants a proof that there is not")

    async def _secret(self, registration: Registration) -> str:
        if registration.secret_name is not None:
            return (await self.vault.read(SECRET_PREFIX + registration.secret_name)).open()
        if registration.secret is None:
            raise Denial(Code.SECRET_MISSING, "the login has no secret; log out and in again")
        return registration.secret.open()

    def _tokens(self, untrusted: JsonObject) -> Tokens:
        access, refresh = untrusted.get("access_token"), untrusted.get("refresh_token")
        if not isinstance(access, str) or not _ACCESS.fullmatch(access):
            raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server's token is none")
        if str(untrusted.get("token_type", "")).lower() != "bearer":
            raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server's token is of another kind than Bearer")
        return Tokens(
            access=Sealed(access),
            refresh=Sealed(refresh) if isinstance(refresh, str) and refresh else None,
            got_at=self.clock.now(),
            life_s=_seconds(untrusted.get("expires_in")),
            scopes=read_scopes(untrusted["scope"]) if isinstance(untrusted.get("scope"), str) else None,
        )


def _seconds(untrusted: object) -> float | None:
    try:
        found = float(untrusted) if isinstance(untrusted, int | float | str) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and 0 <= found <= MAX_LIFE_S else None


def _signed(client_id: str, audience: str, key: str) -> str:
    """An assertion of the gateway, good for a minute and for this authorization server (RFC 7523, 3)."""
    import jwt

    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + ASSERTION_S}
    for algorithm in _ALGORITHMS:
        try:
            return jwt.encode({**claims, "jti": uuid.uuid4().hex}, key, algorithm=algorithm)
        except (jwt.PyJWTError, TypeError, ValueError):
            continue
    raise Denial(Code.SECRET_MISSING, "the private key of this login is no EC P-256, RSA or Ed25519 key in PEM")
