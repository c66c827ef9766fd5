"""The two protocol eras: opening a conversation in one, and plain requests and answers across them."""

from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn, Protocol

from ztmcp_desktop import __version__
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.offer import Era, Offer
from ztmcp_desktop.gateway import jsonrpc

LEGACY_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", Era.LEGACY.value)
META_PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = META_PREFIX + "protocolVersion"
CAPABILITIES_KEY = META_PREFIX + "clientCapabilities"
CLIENT_KEY = META_PREFIX + "clientInfo"
LEVEL_KEY = META_PREFIX + "logLevel"
CLIENT_INFO = {"name": "ztmcp", "version": __version__}

ALL_CAPABILITIES: JsonObject = {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}}
_CACHED = frozenset({"resources/read", "tools/list", "prompts/list", "resources/list", "resources/templates/list"})


class Failure(StrEnum):
    """Why an era cannot be spoken with a server."""

    NOT_SPOKEN = "not-spoken"
    NO_COMMON_VERSION = "no-common-version"


class NotSpoken(Exception):  # noqa: N818 - an outcome, not a fault
    """The server answers, but does not speak this era."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


class Asking(Protocol):
    """How a handshake reaches the server."""

    async def ask(self, method: str, params: JsonObject | None) -> Reply:
        """Make a request."""

    async def tell(self, method: str, params: JsonObject | None) -> None:
        """Make a notification."""


async def discover(peer: Asking, capabilities: JsonObject) -> JsonObject:
    """The server's `server/discover` result (2026-07-28, server/discover).

    Raises:
        NotSpoken: it is no modern server. Anything but a good answer counts as that, as in the SDK's own probe.
    """
    reply = await peer.ask("server/discover", {"_meta": envelope(capabilities, None)})
    if reply.is_error:
        supported = _supported(reply.body)
        if (
            reply.body.get("code") == jsonrpc.UNSUPPORTED_VERSION
            and supported
            and not set(supported) & {*LEGACY_VERSIONS}
        ):
            raise NotSpoken(Failure.NO_COMMON_VERSION)
        raise NotSpoken(Failure.NOT_SPOKEN)
    versions = reply.body.get("supportedVersions")
    if not isinstance(versions, list) or Era.MODERN.value not in versions:
        raise NotSpoken(Failure.NOT_SPOKEN)
    return reply.body


async def handshake(peer: Asking, capabilities: JsonObject, agreed: Callable[[str], None]) -> JsonObject:
    """The server's `initialize` result, `notifications/initialized` sent (2025-11-25, basic/lifecycle).

    `agreed` hears of the version before anything else is sent.

    Raises:
        NotSpoken: it refuses, or answers with a version that we do not speak.
    """
    reply = await peer.ask(
        "initialize",
        {"protocolVersion": Era.LEGACY.value, "capabilities": capabilities, "clientInfo": CLIENT_INFO},
    )
    if reply.is_error:
        raise NotSpoken(Failure.NOT_SPOKEN)
    if reply.body.get("protocolVersion") not in LEGACY_VERSIONS:
        raise NotSpoken(Failure.NO_COMMON_VERSION)
    agreed(str(reply.body["protocolVersion"]))
    await peer.tell("notifications/initialized", None)
    return reply.body


def _supported(failure: JsonObject) -> list[Json]:
    data = failure.get("data")
    found = data.get("supported") if isinstance(data, dict) else None
    return [version for version in found if isinstance(version, str)] if isinstance(found, list) else []


def preferred(caller: Era, offer: Offer) -> Era:
    """The era to open a server in: the caller's own where the approved server speaks it, so nothing is bridged."""
    match caller, offer.legacy is not None, offer.modern is not None:
        case Era.MODERN, _, True:
            return Era.MODERN
        case Era.LEGACY, True, _:
            return Era.LEGACY
        case _, True, _:
            return Era.LEGACY
        case _, _, True:
            return Era.MODERN
        case _:
            return _nothing_spoken()


def _nothing_spoken() -> NoReturn:
    raise Denial(Code.NOT_PERMITTED, "what this server offers has not been approved")


def envelope(capabilities: JsonObject, log_level: str | None) -> JsonObject:
    """What every modern request says in `_meta` of who asks; the gateway speaks for itself, not for the client."""
    level = {LEVEL_KEY: log_level} if log_level else {}
    return {VERSION_KEY: Era.MODERN.value, CAPABILITIES_KEY: capabilities, CLIENT_KEY: CLIENT_INFO, **level}


def outgoing(call: Call, params: JsonObject, upstream: Era) -> JsonObject:
    """`params` as a server of this era must get them; all but `_meta` is left as it is."""
    meta = params.get("_meta")
    kept = (
        {key: value for key, value in meta.items() if not key.startswith(META_PREFIX)} if isinstance(meta, dict) else {}
    )
    if upstream is Era.MODERN:
        kept |= envelope(capabilities_of(call, upstream), call.log_level)
    elif call.era is Era.LEGACY:
        return params
    return {**{key: value for key, value in params.items() if key != "_meta"}, **({"_meta": kept} if kept else {})}


def capabilities_of(call: Call, upstream: Era) -> JsonObject:
    """What is declared to the server: what the client can do, in whichever era it is asked.

    Roots are ours to answer, but for a client and a server of 2026-07-28, where the answer carries the request.
    """
    asked = call.client_capabilities
    given = {key: asked[key] for key in ("sampling", "elicitation") if isinstance(asked.get(key), dict)}
    if upstream is Era.LEGACY:
        return {"roots": {}, **given}
    roots = {} if call.era is Era.LEGACY else asked.get("roots")
    return {**({"roots": roots} if isinstance(roots, dict) else {}), **given}


def incoming(call: Call, reply: Reply, upstream: Era) -> Reply:
    """The reply as the caller's era wants it.

    Raises:
        Denial: the server asks for input in a way that the caller's era does not have (`server-unavailable`).
    """
    if call.era is upstream:
        return reply
    if reply.is_error:
        return _error_of(call, reply)
    body = dict(reply.body)
    if upstream is Era.MODERN:
        if body.pop("resultType", "complete") != "complete":
            raise Denial(
                Code.SERVER_UNAVAILABLE,
                "the server asks for more input, in a way that this client's protocol version does not have",
            )
        body.pop("ttlMs", None)
        body.pop("cacheScope", None)
    else:
        body.setdefault("resultType", "complete")
        if call.method in _CACHED and body["resultType"] == "complete":
            body.setdefault("ttlMs", 0)
            body.setdefault("cacheScope", "private")
    return Reply(body=body)


def _error_of(call: Call, reply: Reply) -> Reply:
    """The error with the code that the caller's era has for it (2026-07-28, basic: codes no longer in use)."""
    body = reply.body
    match call.era, body.get("code"):
        case Era.MODERN, jsonrpc.LEGACY_NOT_FOUND:
            return Reply(body={**body, "code": jsonrpc.INVALID_PARAMS}, is_error=True)
        case Era.MODERN, jsonrpc.URL_ELICITATION_REQUIRED:
            needed: JsonObject = {"requiredCapabilities": {"elicitation": {"url": {}}}}
            return Reply(body={**body, "code": jsonrpc.MISSING_CAPABILITY, "data": needed}, is_error=True)
        case _:
            return reply
