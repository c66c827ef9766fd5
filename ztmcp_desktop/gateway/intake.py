"""Reads a request off the wire: its headers, its token, and its body up to a cap."""

import asyncio
from collections.abc import Iterable

from starlette.types import Receive, Scope

from ztmcp_desktop.domain.denial import Code
from ztmcp_desktop.gateway.exchange import Accepts
from ztmcp_desktop.gateway.peers import Held
from ztmcp_desktop.gateway.wire import INVALID_REQUEST, Rejection

HELD = "ztmcp.held"
"""Key in the ASGI scope's `extensions`; its `connection` is what is kept for the connection of a request."""

MAX_TOKEN_CHARS = 256
_JSON_TYPES = {"*/*", "application/*", "application/json"}
_STREAM_TYPES = {"*/*", "text/*", "text/event-stream"}

RawHeaders = Iterable[tuple[bytes, bytes]]
Pairs = tuple[tuple[str, str], ...]


def decode_headers(raw: RawHeaders) -> Pairs:
    """Header lines as text, names in lower case, in order, duplicates kept."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")) for name, value in raw)


def one(headers: Pairs, name: str) -> str | None:
    """The value of a header, None where it is missing.

    Raises:
        Rejection: it occurs twice, so that two readers could differ about it.
    """
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise Rejection(400, INVALID_REQUEST, f"the header {name} occurs more than once")
    return values[0] if values else None


def bearer(headers: Pairs) -> str | None:
    """The untrusted bearer token (RFC 6750, in the header only), None for any other or no single one."""
    values = [value for key, value in headers if key == "authorization"]
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == "bearer" and 0 < len(token) <= MAX_TOKEN_CHARS else None


def accepts(headers: Pairs) -> Accepts:
    """What the client takes; no Accept header takes all.

    Raises:
        Rejection: 406, neither JSON nor a stream.
    """
    wanted = ",".join(value for key, value in headers if key == "accept")
    types = {part.split(";")[0].strip().lower() for part in wanted.split(",")} if wanted.strip() else {"*/*"}
    found = Accepts(json=bool(types & _JSON_TYPES), stream=bool(types & _STREAM_TYPES))
    if not (found.json or found.stream):
        raise Rejection(406, INVALID_REQUEST, "the client accepts neither application/json nor text/event-stream")
    return found


def require_json(headers: Pairs) -> None:
    """Refuse with 415 what is not `application/json` in plain UTF-8: a browser form, a compressed body."""
    untrusted_type = one(headers, "content-type") or ""
    kind, *parameters = [part.strip().lower() for part in untrusted_type.split(";")]
    charsets_good = all(part in {"charset=utf-8", 'charset="utf-8"'} for part in parameters)
    if kind != "application/json" or not charsets_good:
        raise Rejection(415, INVALID_REQUEST, "the body must be application/json in UTF-8")
    if (one(headers, "content-encoding") or "identity").lower() != "identity":
        raise Rejection(415, INVALID_REQUEST, "the body must not be compressed")


async def read_body(receive: Receive, headers: Pairs, limit_bytes: int, patience_s: float) -> bytes | None:
    """The whole body; None when the client went away.

    Raises:
        Rejection: 413 beyond `limit_bytes`, read no further; 408 when it takes more than `patience_s`.
    """
    declared = one(headers, "content-length") or "0"
    if not (declared.isascii() and declared.isdigit()) or len(declared) > len(str(limit_bytes)):
        raise _too_large()
    if int(declared) > limit_bytes:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(patience_s):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return None
                chunk = event.get("body", b"")
                size += len(chunk)
                if size > limit_bytes:
                    raise _too_large()
                chunks.append(chunk)
                if not event.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise Rejection(408, INVALID_REQUEST, "the body took too long", code=Code.TOO_SLOW) from None


def held_of(scope: Scope) -> Held:
    """What is kept for the request's connection; a server that keeps nothing leaves the caller unknown."""
    kept = (scope.get("extensions") or {}).get(HELD, {}).get("connection")
    return kept if isinstance(kept, Held) else Held(where=None)


def _too_large() -> Rejection:
    return Rejection(413, INVALID_REQUEST, "the body is too large", code=Code.TOO_LARGE)
