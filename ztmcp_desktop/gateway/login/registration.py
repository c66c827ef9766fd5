"""How an authorization server knows the gateway: registered beforehand, by a public document, or on the spot."""

import json
from dataclasses import dataclass

from ztmcp_desktop import __version__
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import SecretName
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.gateway.fetch import fetch
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.login.callback import HOST, PATH
from ztmcp_desktop.gateway.login.held import Flow, How, Registration
from ztmcp_desktop.gateway.login.metadata import Issuer
from ztmcp_desktop.gateway.outbound_guard import Reach

MAX_ID_CHARS = 2048
# The order of preference; a public client has nothing that could be stolen.
_METHODS = ("none", "client_secret_basic", "client_secret_post")
_CREATED = frozenset({200, 201})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the person says of how to log in. Empty means: as the server says.

    `key` says that the secret is a private key. `scopes` are asked for instead of what the server says.
    """

    client_id: str = ""
    secret: SecretName | None = None
    key: bool = False
    flow: Flow = Flow.PERSON
    scopes: tuple[str, ...] = ()


def known_as(issuer: Issuer, choice: Choice, document: str, earlier: Registration | None) -> Registration | None:
    """The registration to use; None where the gateway has to register itself. `earlier` is one with this very issuer.

    Raises:
        Denial: there is no way that this authorization server takes; the reason says what the person can do.
    """
    if choice.flow is Flow.PERSON and issuer.authorize is None:
        raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server has no page to log in at")
    if choice.client_id:
        return Registration(
            how=How.BEFOREHAND, client_id=choice.client_id, method=_method(issuer, choice), secret_name=choice.secret
        )
    if earlier is not None and earlier.how is How.BEFOREHAND:
        return earlier
    if choice.flow is Flow.PERSON and document and issuer.takes_documents:
        return Registration(how=How.DOCUMENT, client_id=document, method="none")
    if earlier is not None and earlier.how is How.DYNAMIC:
        return earlier
    if choice.flow is Flow.PERSON and issuer.register is not None:
        return None
    raise Denial(
        Code.SERVER_UNAVAILABLE,
        f"the authorization server takes registered clients only: register ztmcp there, with http://{HOST}{PATH} to "
        "come back to, then log in with the client id that it gives: ztmcp server login NAME --client-id ID",
    )


def _method(issuer: Issuer, choice: Choice) -> str:
    if choice.secret is None:
        return "none"
    if choice.key:
        return "private_key_jwt"
    # One that was not advertised is what RFC 8414 says is meant by nothing.
    return next((method for method in _METHODS[1:] if method in issuer.methods), "client_secret_basic")


async def register(client: HttpClient, issuer: Issuer, reach: Reach, port: int) -> Registration:
    """The gateway, registered as a native application with its callback address (RFC 7591).

    Raises:
        Denial: the authorization server refuses, or its answer is none (`server-unavailable`); as `fetch`.
    """
    if issuer.register is None:
        raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server registers nobody")
    method = next((method for method in _METHODS if method in issuer.methods), "none")
    wanted = {
        "client_name": "ztmcp",
        "software_id": "ztmcp-desktop",
        "software_version": __version__,
        "application_type": "native",
        "redirect_uris": [f"http://{HOST}:{port}{PATH}"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    }
    document = await fetch(
        client,
        issuer.register,
        reach,
        method="POST",
        headers={"Content-Type": "application/json"},
        body=json.dumps(wanted).encode(),
    )
    if document.status not in _CREATED:
        raise Denial(Code.SERVER_UNAVAILABLE, f"the authorization server did not register ztmcp ({document.status})")
    client_id, secret = document.content.get("client_id"), document.content.get("client_secret")
    if not isinstance(client_id, str) or not 0 < len(client_id) <= MAX_ID_CHARS or not client_id.isprintable():
        raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server's registration has no client id")
    given = document.content.get("token_endpoint_auth_method", method)
    if not isinstance(secret, str) or not secret:
        secret, given = None, "none"
    if given not in _METHODS:
        raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server wants another proof than was asked for")
    return Registration(
        how=How.DYNAMIC, client_id=client_id, method=given, secret=Sealed(secret) if secret else None, port=port
    )
