"""What a login would be, found out before anybody is asked: where, for what, and known as whom."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway.challenge import Wish, read_wish
from ztmcp_desktop.gateway.http_client import HttpClient, unreachable
from ztmcp_desktop.gateway.jsonrpc import encode
from ztmcp_desktop.gateway.login.held import Flow, Held, Registration
from ztmcp_desktop.gateway.login.metadata import Issuer, Resource, find_issuer, find_resource
from ztmcp_desktop.gateway.login.registration import Choice, known_as
from ztmcp_desktop.gateway.outbound_guard import own_reach

# A server that names more rights than these without asking for any is asked for none; it will say what it needs.
MAX_UNASKED_SCOPES = 10
OFFLINE = "offline_access"
ASK_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One login that has not begun. `registration` is None where the gateway registers itself when it does.

    `before` is the issuer of the login that this one replaces, empty if there is none.
    """

    server: ServerName
    url: str
    resource: str
    issuer: Issuer
    flow: Flow
    scopes: tuple[str, ...]
    registration: Registration | None
    before: str = ""


async def make_plan(  # noqa: PLR0913, PLR0917 - what is known of a login before it
    http: HttpClient, server: ServerName, url: str, wish: Wish, choice: Choice, document: str, held: Held | None
) -> Plan:
    """The login that the server at `url` wants, within what the person chose.

    `document` is the public address of the gateway's own metadata, `held` the login that there is.

    Raises:
        Denial: it cannot be made, or not safely; as `find_resource`, `find_issuer` and `known_as`.
    """
    resource = await find_resource(http, url, wish)
    kept = held is not None and held.issuer in resource.issuers
    identifier = held.issuer if held is not None and kept else resource.issuers[0]
    issuer = await find_issuer(http, identifier, own_reach(url))
    earlier = held if kept else None
    flow = earlier.flow if earlier is not None and not choice.client_id else choice.flow
    return Plan(
        server=server,
        url=url,
        resource=resource.identifier,
        issuer=issuer,
        flow=flow,
        scopes=wanted(resource, issuer, flow, wish, choice, earlier.scopes if earlier else ()),
        registration=known_as(issuer, choice, document, earlier.registration if earlier else None),
        before=held.issuer if held is not None else "",
    )


def wanted(  # noqa: PLR0913, PLR0917 - each has a say
    resource: Resource, issuer: Issuer, flow: Flow, wish: Wish, choice: Choice, earlier: Iterable[str]
) -> tuple[str, ...]:
    """The scopes to ask for: the person's choice, else what the challenge says, else what the metadata name.

    Those of an earlier login stay, so that a step up for one thing does not take another away.
    """
    if choice.scopes:
        return choice.scopes
    asked = wish.scopes
    if asked is None:
        named = resource.scopes or ()
        asked = named if len(named) <= MAX_UNASKED_SCOPES else ()
    scopes = tuple(dict.fromkeys((*earlier, *asked)))
    lasting = flow is Flow.PERSON and OFFLINE in issuer.scopes and "refresh_token" in issuer.grants
    return (*scopes, OFFLINE) if scopes and lasting and OFFLINE not in scopes else scopes


async def ask_for_wish(http: HttpClient, url: str) -> Wish:
    """What the server at `url` says to somebody without a login.

    Raises:
        Denial: it does not answer (`server-unavailable`).
    """
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    body = encode({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    try:
        async with asyncio.timeout(ASK_S), http.request("POST", url, headers, body) as answer:
            return read_wish(answer.header("WWW-Authenticate"))
    except TimeoutError:
        raise unreachable() from None
