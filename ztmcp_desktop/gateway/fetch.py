"""Small documents from addresses that strangers name: bounded in size and time, and through the outbound guard."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.event_stream import whole
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.jsonrpc import Rubbish, decode
from ztmcp_desktop.gateway.outbound_guard import Reach

FETCH_S = 10.0
MAX_DOCUMENT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What was at an address; all of it untrusted. `content` is empty where the body is no JSON object."""

    status: int
    kind: str
    content: JsonObject = field(repr=False)
    challenge: str = ""


async def fetch(  # noqa: PLR0913 - what a request has
    client: HttpClient,
    url: str,
    reach: Reach,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    limit_bytes: int = MAX_DOCUMENT_BYTES,
) -> Document:
    """The JSON document at `url`, whatever the status, within 10 s. Redirects stay within the origin.

    Raises:
        Denial: the address is not to be gone to, or does not answer (`server-unavailable`); `too-large`, `too-slow`.
    """
    try:
        async with (
            asyncio.timeout(FETCH_S),
            client.request(method, url, {"Accept": "application/json", **(headers or {})}, body, reach) as answer,
        ):
            content = await whole(answer.chunks(), limit_bytes)
            status, kind, challenge = answer.status, answer.header("Content-Type"), answer.header("WWW-Authenticate")
    except TimeoutError:
        raise Denial(
            Code.TOO_SLOW, f"an address that was asked did not answer within {FETCH_S:g} s", Retry.LATER
        ) from None
    try:
        found = decode(content)
    except Rubbish:
        found = {}
    return Document(status=status, kind=kind.partition(";")[0].strip().lower(), content=found, challenge=challenge)
