"""What a remote server and its authorization server say of themselves (RFC 9728, RFC 8414, OpenID Connect Discovery).

All of it is a stranger's word: each address goes through the outbound guard, and each document must be about the very
identifier that it was asked for.
"""

from dataclasses import dataclass
from typing import NoReturn

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.challenge import Wish, read_scopes
from ztmcp_desktop.gateway.fetch import Document, fetch
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.login.page import openable
from ztmcp_desktop.gateway.outbound_guard import Reach, Target, admit, own_reach, read

MAX_ISSUERS = 8
RESOURCE_PATH = "/.well-known/oauth-protected-resource"
SERVER_PATH = "/.well-known/oauth-authorization-server"
OPENID_PATH = "/.well-known/openid-configuration"
_MISSING = frozenset({400, 401, 403, 404, 405, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A server as its metadata names it: what tokens are asked for, and by whom they may be issued.

    `scopes` is None where it does not say which there are.
    """

    identifier: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An authorization server whose metadata is about itself. Each endpoint was admitted by the guard."""

    identifier: str
    authorize: str | None
    token: str
    register: str | None
    methods: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    takes_documents: bool
    names_itself: bool


async def find_resource(client: HttpClient, url: str, wish: Wish) -> Resource:
    """The metadata of the server at `url`: where its challenge says, else where the specification says.

    A server that has none is taken to be its own authorization server (2025-03-26, authorization).

    Raises:
        Denial: the metadata is about another server, or names nobody who issues tokens; as `fetch`.
    """
    reach, here = own_reach(url), read(url)
    path = here.url.raw_path.rstrip("/")
    places = [wish.metadata] if wish.metadata is not None else []
    places += [_base(here) + RESOURCE_PATH + tail for tail in dict.fromkeys((path, ""))]
    for place in places:
        document = await fetch(client, place, reach)
        if _is_there(document):
            return _resource(document.content, here)
    return Resource(identifier=url, issuers=(_base(here),))


def _resource(untrusted: JsonObject, here: Target) -> Resource:
    identifier, issuers = untrusted.get("resource"), untrusted.get("authorization_servers")
    if not isinstance(identifier, str) or not _covers(identifier, here):
        _refuse("the server's login is for another server than the one that was configured")
    if not isinstance(issuers, list):
        issuers = []
    named = tuple(issuer for issuer in issuers if isinstance(issuer, str))[:MAX_ISSUERS]
    if not named:
        _refuse("the server wants a login, and does not say where")
    scopes = untrusted.get("scopes_supported")
    return Resource(identifier=identifier, issuers=named, scopes=None if scopes is None else read_scopes(scopes))


def _covers(identifier: str, here: Target) -> bool:
    """Whether the resource is the configured address, or a folder above it at the same origin (RFC 9728, 3.3)."""
    resource = read(identifier)
    above, below = resource.url.raw_path.rstrip("/"), here.url.raw_path
    return (
        resource.origin == here.origin
        and not resource.url.raw_query_string
        and (below.rstrip("/") == above or below.startswith(above + "/"))
    )


async def find_issuer(client: HttpClient, identifier: str, reach: Reach) -> Issuer:
    """The metadata of the authorization server `identifier`, which must be its very issuer (RFC 8414, 3.3).

    Raises:
        Denial: there is none, it is about another issuer, or it does not support PKCE with S256; as `fetch`.
    """
    issuer = admit(identifier, reach)
    if issuer.url.raw_query_string:
        _refuse("the authorization server's name is none")
    base, path = _base(issuer), issuer.url.raw_path.rstrip("/")
    places = (
        [base + SERVER_PATH + path, base + OPENID_PATH + path, base + path + OPENID_PATH]
        if path
        else [base + SERVER_PATH, base + OPENID_PATH]
    )
    for place in places:
        document = await fetch(client, place, reach)
        if _is_there(document):
            return _issuer(document.content, identifier, reach)
    raise Denial(Code.SERVER_UNAVAILABLE, "the authorization server says nothing of itself that could be checked")


def _issuer(untrusted: JsonObject, identifier: str, reach: Reach) -> Issuer:
    if untrusted.get("issuer") != identifier:
        _refuse("the authorization server's metadata are about another one")
    grants = _texts(untrusted, "grant_types_supported", ("authorization_code", "implicit"))
    codes = "authorization_code" in grants
    if codes and "S256" not in _texts(untrusted, "code_challenge_methods_supported", ()):
        _refuse("the authorization server does not protect its codes (PKCE with S256)")
    token = _endpoint(untrusted, "token_endpoint", reach)
    if token is None:
        _refuse("the authorization server has nowhere to get tokens")
    authorize = _endpoint(untrusted, "authorization_endpoint", reach) if codes else None
    if authorize is not None:
        openable(str(read(authorize).url))
    return Issuer(
        identifier=identifier,
        authorize=authorize,
        token=token,
        register=_endpoint(untrusted, "registration_endpoint", reach),
        methods=_texts(untrusted, "token_endpoint_auth_methods_supported", ("client_secret_basic",)),
        grants=grants,
        scopes=read_scopes(untrusted.get("scopes_supported")),
        takes_documents=untrusted.get("client_id_metadata_document_supported") is True,
        names_itself=untrusted.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(untrusted: JsonObject, key: str, reach: Reach) -> str | None:
    value = untrusted.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        _refuse("the authorization server's metadata are not understood")
    admit(value, reach)
    return value


def _texts(untrusted: JsonObject, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = untrusted.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else default


def _is_there(document: Document) -> bool:
    """Whether this is the document; many a site answers all that it does not know with a page.

    Raises:
        Denial: it may be there, and cannot be had now.
    """
    if document.status == 200:  # noqa: PLR2004
        return bool(document.content)
    if document.status not in _MISSING:
        _refuse("the metadata of the login cannot be had; try again later")
    return False


def _base(target: Target) -> str:
    return str(target.url.origin())


def _refuse(why: str) -> NoReturn:
    raise Denial(Code.SERVER_UNAVAILABLE, why)
