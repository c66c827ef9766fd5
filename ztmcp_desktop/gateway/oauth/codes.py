"""Authorization codes: good for a minute and once."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from ztmcp_desktop.domain.client import Rights
from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.domain.names import ClientName, ServerName, TokenId
from ztmcp_desktop.gateway.oauth.logins import ClientLogins, Tokens
from ztmcp_desktop.gateway.oauth.parameters import OAuthError
from ztmcp_desktop.ports import Clock

CODE_S = 60.0
REMEMBERED_S = 600.0
"""How long a code is remembered after it died, so that a second use of it is known."""
MAX_CODES = 256
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a code is for. `challenge` is that of PKCE, S256 (RFC 7636); `expires` ends the login that it begins."""

    client: ClientName
    client_id: str
    redirect_uri: str
    challenge: str
    server: ServerName
    rights: Rights
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a client shows to get the tokens for a code; all untrusted but `client`.

    `client` is the one that `client_id` is now, None where it was revoked meanwhile; `server` is the resource that is
    named, None where none is.
    """

    code: str
    client: ClientName | None
    client_id: str
    redirect_uri: str
    verifier: str
    server: ServerName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    permit: Permit
    born_s: float
    used: bool = False
    login: TokenId | None = None


class Codes:
    """The codes that are out, in memory only."""

    def __init__(self, logins: ClientLogins, clock: Clock) -> None:
        self._logins = logins
        self._clock = clock
        self._issued: dict[str, _Issued] = {}

    def issue(self, permit: Permit) -> str:
        """A code for `permit`."""
        now = self._clock.monotonic()
        self._issued = {key: code for key, code in self._issued.items() if code.born_s + REMEMBERED_S > now}
        while len(self._issued) >= MAX_CODES:
            del self._issued[next(iter(self._issued))]
        code = secrets.token_urlsafe(32)
        self._issued[_hash(code)] = _Issued(permit=permit, born_s=now)
        return code

    def redeem(self, claim: Claim) -> Tokens:
        """The tokens for a code. Whoever shows it, it is used up; shown again, its login ends (RFC 6749, 4.1.2).

        Raises:
            OAuthError: `invalid_grant`, whatever of it is wrong; `invalid_target` for another resource than was
                asked for.
        """
        key = _hash(claim.code)
        issued = self._issued.get(key)
        if issued is None:
            raise _invalid("there is no such code")
        if issued.used:
            if issued.login is not None:
                self._logins.end(issued.login)
            raise _invalid("this code was used before")
        self._issued[key] = replace(issued, used=True)
        permit = issued.permit
        if issued.born_s + CODE_S <= self._clock.monotonic():
            raise _invalid("this code is too old")
        if (permit.client, permit.client_id, permit.redirect_uri) != (
            claim.client,
            claim.client_id,
            claim.redirect_uri,
        ):
            raise _invalid("this code is another client's, or went to another address")
        if not _proves(claim.verifier, permit.challenge):
            raise _invalid("the code verifier is wrong")
        if claim.server not in {None, permit.server}:
            raise OAuthError("invalid_target", "the code is for another resource", code=Code.NOT_PERMITTED)
        tokens = self._logins.begin(permit.client, permit.server, permit.rights, permit.expires)
        self._issued[key] = replace(issued, used=True, login=tokens.login.id)
        return tokens


def _proves(untrusted_verifier: str, challenge: str) -> bool:
    """Whether S256 of the verifier is the challenge (RFC 7636, 4.6)."""
    if not _VERIFIER.fullmatch(untrusted_verifier):
        return False
    digest = hashlib.sha256(untrusted_verifier.encode("ascii")).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def _invalid(reason: str) -> OAuthError:
    return OAuthError("invalid_grant", reason, code=Code.UNAUTHENTICATED)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
