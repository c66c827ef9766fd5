"""The request that a browser takes to the authorization server, and the check of what it brings back."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.gateway.login.metadata import Issuer
from ztmcp_desktop.gateway.login.page import openable
from ztmcp_desktop.gateway.outbound_guard import Reach, admit

MAX_CODE_CHARS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One authorization request, with what is kept of it for the answer."""

    issuer: Issuer
    page: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str

    @classmethod
    def make(  # noqa: PLR0913 - the parameters of RFC 6749, 4.1.1, RFC 7636 and RFC 8707
        cls,
        *,
        issuer: Issuer,
        reach: Reach,
        client_id: str,
        redirect_uri: str,
        resource: str,
        scopes: tuple[str, ...],
    ) -> "Request":
        """A request with a state and a verifier of its own.

        Raises:
            Denial: the authorization server has no page that may be opened (`server-unavailable`).
        """
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": resource,
            **({"scope": " ".join(scopes)} if scopes else {}),
            # Without it some give no refresh token (OpenID Connect Core, 11).
            **({"prompt": "consent"} if "offline_access" in scopes else {}),
        }
        page = _page(issuer, reach)
        return cls(
            issuer=issuer,
            page=openable(page + ("&" if "?" in page else "?") + urlencode(query)),
            state=state,
            verifier=verifier,
            redirect_uri=redirect_uri,
        )

    def code(self, untrusted: Mapping[str, str]) -> str:
        """The authorization code of an answer to this very request, from this very authorization server.

        Raises:
            Denial: another state or issuer, or none where it is promised (`server-unavailable`); the person, or the
                authorization server, said no (`refused-by-person`).
        """
        if not hmac.compare_digest(untrusted.get("state", "").encode(), self.state.encode()):
            raise _aborted("the answer in the browser was not to this login")
        named = untrusted.get("iss")
        # Compared as text, on errors too (RFC 9207, 2.4): a mix-up shows in either.
        if named is None and self.issuer.names_itself:
            raise _aborted("the answer in the browser does not say who gives it")
        if named is not None and named != self.issuer.identifier:
            raise _aborted("the answer in the browser is from another authorization server")
        if "error" in untrusted:
            error = untrusted["error"]
            said = f" ({error})" if re.fullmatch(r"[a-z_]{1,40}", error) else ""
            raise Denial(Code.REFUSED_BY_PERSON, f"the login was refused at the authorization server{said}")
        code = untrusted.get("code", "")
        if not 0 < len(code) <= MAX_CODE_CHARS:
            raise _aborted("the answer in the browser has no code")
        return code


def _page(issuer: Issuer, reach: Reach) -> str:
    if issuer.authorize is None:
        raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server has no page to log in at")
    return str(admit(issuer.authorize, reach).url)


def _aborted(why: str) -> Denial:
    return Denial(Code.SERVER_UNAVAILABLE, f"the login was broken off: {why}")
