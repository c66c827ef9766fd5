"""Answers from the catalogue of approved things what needs no server."""

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.offer import Era, ItemKind, Offer
from ztmcp_desktop.domain.subscription import RESOURCES
from ztmcp_desktop.gateway.conversation import flags_of
from ztmcp_desktop.gateway.negotiation import preferred
from ztmcp_desktop.gateway.wire import INVALID_PARAMS, METHOD_NOT_FOUND
from ztmcp_desktop.ports import Catalogue

LEGACY_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSIONS = ("2026-07-28",)
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
_LIST_KINDS = {kind.list_method: kind for kind in ItemKind}
_CAPABILITY_OF = {
    ItemKind.TOOL: "tools",
    ItemKind.RESOURCE: "resources",
    ItemKind.TEMPLATE: "resources",
    ItemKind.PROMPT: "prompts",
}


class Listing:
    """Implements the port `Lists`: what the person approved, as the client's era words it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def answer(self, call: Call) -> Reply:
        offer = self._catalogue.offer(call.server)
        match call.era, call.method:
            case Era.LEGACY, "initialize":
                return _initialize(offer, call)
            case Era.LEGACY, "ping" | "logging/setLevel":
                return Reply(body={})
            case Era.MODERN, "server/discover":
                return Reply(body=_discover(offer, call.server))
            case _, method if method in _LIST_KINDS:
                return _items(offer, _LIST_KINDS[method], call)
            case _:
                return _error(METHOD_NOT_FOUND, "Method not found")


def _initialize(offer: Offer, call: Call) -> Reply:
    params = call.params
    wanted = params.get("protocolVersion")
    if not isinstance(wanted, str) or not isinstance(params.get("capabilities", {}), dict):
        return _error(INVALID_PARAMS, "initialize needs protocolVersion and capabilities")
    body: JsonObject = {
        "protocolVersion": wanted if wanted in LEGACY_VERSIONS else LEGACY_VERSIONS[-1],
        "capabilities": _capabilities(offer, Era.LEGACY),
        "serverInfo": _server_info(offer, call.server),
    }
    return Reply(body=_with_instructions(body, offer))


def _discover(offer: Offer, server: ServerName) -> JsonObject:
    body: JsonObject = {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": _capabilities(offer, Era.MODERN),
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {SERVER_INFO: _server_info(offer, server)},
    }
    return _with_instructions(body, offer)


def _items(offer: Offer, kind: ItemKind, call: Call) -> Reply:
    if call.params.get("cursor") is not None:
        # All is on the first page, so no cursor can be one of ours.
        return _error(INVALID_PARAMS, "there is no such cursor")
    if kind not in offer.items and _CAPABILITY_OF[kind] not in _capabilities(offer, call.era):
        return _error(METHOD_NOT_FOUND, "Method not found")
    return Reply(body={kind.value: list(offer.items.get(kind, ()))})


def subscribable(offer: Offer, era: Era) -> frozenset[str]:
    """The members of a filter (2026-07-28, subscriptions) that the server can honour for clients of `era`."""
    capabilities = _capabilities(offer, era)
    resources = capabilities.get("resources", {})
    return flags_of(capabilities) | ({RESOURCES} if resources.get("subscribe") is True else frozenset())


def _capabilities(offer: Offer, era: Era) -> JsonObject:
    """What the server can do in the era in which it is spoken to for such clients; all else is bridged."""
    spoken = preferred(era, offer) if offer.legacy is not None or offer.modern is not None else era
    said = offer.modern if spoken is Era.MODERN else offer.legacy
    if said is not None and isinstance(said.get("capabilities"), dict):
        return {name: dict(given) for name, given in said["capabilities"].items() if isinstance(given, dict)}
    return {_CAPABILITY_OF[kind]: {} for kind, items in offer.items.items() if items}


def _server_info(offer: Offer, server: ServerName) -> JsonObject:
    if offer.legacy is not None and isinstance(offer.legacy.get("serverInfo"), dict):
        return dict(offer.legacy["serverInfo"])
    meta = (offer.modern or {}).get("_meta")
    if isinstance(meta, dict) and isinstance(meta.get(SERVER_INFO), dict):
        return dict(meta[SERVER_INFO])
    return {"name": server, "version": "0"}


def _with_instructions(body: JsonObject, offer: Offer) -> JsonObject:
    return body if offer.instructions is None else {**body, "instructions": offer.instructions}


def _error(code: int, message: str) -> Reply:
    return Reply(body={"code": code, "message": message}, is_error=True)
