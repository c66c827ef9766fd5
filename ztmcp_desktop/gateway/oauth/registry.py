"""The clients that may ask to log in: registered ones, those let in before, and those that a document describes."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from ztmcp_desktop.domain.client import Introduction, Registration
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.gateway.oauth.parameters import OAuthError
from ztmcp_desktop.gateway.oauth.redirects import MAX_URI_CHARS, is_loopback, is_public
from ztmcp_desktop.ports import ClientBook

MAX_NEW = 64
MAX_REDIRECTS = 16
MAX_NAME_CHARS = 128
UNNAMED = "(no name)"


class Documents(Protocol):
    """Fetches client ID metadata documents."""

    @property
    def available(self) -> bool:
        """Whether any can be fetched."""

    async def fetch(self, url: str) -> JsonObject:
        """The JSON object at an https address that a stranger named.

        Raises:
            Denial: the address leads where no stranger may send us, nobody answers, or what comes is no such document.
        """


class Registry:
    """Finds registrations by client id. New ones are forgotten at a restart, unless the person let them in."""

    def __init__(self, clients: ClientBook, documents: Documents) -> None:
        self._clients = clients
        self._documents = documents
        self._new: OrderedDict[str, Registration] = OrderedDict()

    async def find(self, untrusted_id: str) -> Registration:
        """The registration of this client id.

        Raises:
            OAuthError: there is none, or its document cannot be had or is wrong (`invalid_client`).
        """
        if untrusted_id.startswith("https://"):
            return await self._described(untrusted_id)
        known = self._clients.registered(untrusted_id)
        found = known.registration if known else self._new.get(untrusted_id)
        if found is None:
            raise _invalid_client("this client is not registered here")
        return found

    def register(self, untrusted: JsonObject, program: str) -> Registration:
        """A new registration (RFC 7591) of a native client by the program at this place.

        Raises:
            OAuthError: `invalid_redirect_uri` or `invalid_client_metadata`.
        """
        uris = _texts(untrusted.get("redirect_uris"), "invalid_redirect_uri")
        kept = tuple(uri for uri in uris if is_loopback(uri))
        if not kept:
            raise OAuthError("invalid_redirect_uri", "a registered client's redirect URI must be http on this machine")
        made = Registration(
            id=f"ztmcp-{secrets.token_hex(16)}",
            introduction=Introduction.REGISTERED,
            claimed_name=_claimed_name(untrusted),
            redirect_uris=kept,
            program=program,
        )
        self._new[made.id] = made
        while len(self._new) > MAX_NEW:
            self._new.popitem(last=False)
        return made

    async def _described(self, url: str) -> Registration:
        if not _is_document_address(url):
            raise _invalid_client("this client id is no address of a document")
        try:
            return read_document(url, await self._documents.fetch(url))
        except OAuthError:
            raise
        except Denial as denial:
            raise _invalid_client(f"the document that describes the client could not be had: {denial.reason}") from None


def read_document(url: str, untrusted: JsonObject) -> Registration:
    """The client that the document at `url` describes (client ID metadata documents, 4).

    Raises:
        OAuthError: it is of another address, needs a secret, or has no redirect URI that we answer to.
    """
    if untrusted.get("client_id") != url:
        raise _invalid_client("the client's document is of another client")
    method = untrusted.get("token_endpoint_auth_method", "none")
    if method != "none" or any(key.startswith("client_secret") for key in untrusted):
        raise _invalid_client("the client's document asks for a way to prove itself that is not offered")
    uris = _texts(untrusted.get("redirect_uris"), "invalid_client")
    if not all(is_loopback(uri) or is_public(uri) for uri in uris):
        raise _invalid_client("the client's document names an address that no answer may go to")
    return Registration(
        id=url,
        introduction=Introduction.DOCUMENT,
        claimed_name=_claimed_name(untrusted),
        redirect_uris=uris,
    )


def registration_document(made: Registration, issued_at: int) -> JsonObject:
    """The answer to a registration (RFC 7591, 3.2.1): what was registered, which may be less than was asked."""
    return {
        "client_id": made.id,
        "client_id_issued_at": issued_at,
        "client_name": made.claimed_name,
        "redirect_uris": list(made.redirect_uris),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


def _claimed_name(untrusted: JsonObject) -> str:
    name = untrusted.get("client_name")
    # On one line, so that it cannot look like more than one fact.
    return " ".join(name.split())[:MAX_NAME_CHARS] or UNNAMED if isinstance(name, str) else UNNAMED


def _texts(untrusted: Json, error: str) -> tuple[str, ...]:
    fits: Callable[[Json], bool] = lambda uri: isinstance(uri, str) and len(uri) <= MAX_URI_CHARS  # noqa: E731
    if not isinstance(untrusted, list) or not 0 < len(untrusted) <= MAX_REDIRECTS or not all(map(fits, untrusted)):
        raise OAuthError(error, f"redirect_uris must be a list of 1 to {MAX_REDIRECTS} addresses")
    return tuple(dict.fromkeys(untrusted))


def _is_document_address(url: str) -> bool:
    """Client ID metadata documents, 3: https with a path, no fragment, user, password, query or dot segment."""
    if not is_public(url):
        return False
    parts = urlsplit(url)
    return not parts.query and len(parts.path) > 1 and not {".", ".."} & set(parts.path.split("/"))


def _invalid_client(reason: str) -> OAuthError:
    return OAuthError("invalid_client", reason, code=Code.UNAUTHENTICATED)
