"""Takes the inventory of a server: every list, all its pages, with bounds on each."""

import logging
from collections.abc import Awaitable, Callable

from ztmcp_desktop.domain.call import Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.jsonrpc import METHOD_NOT_FOUND

MAX_PAGES = 200
MAX_ITEMS = 10_000
MAX_NAME_CHARS = 4096
MAX_LISTED_BYTES = 32 * 1024**2

_CAPABILITIES = {
    ItemKind.TOOL: "tools",
    ItemKind.PROMPT: "prompts",
    ItemKind.RESOURCE: "resources",
    ItemKind.TEMPLATE: "resources",
}
_UNIQUE = frozenset({ItemKind.TOOL, ItemKind.PROMPT})

_log = logging.getLogger(__name__)

Ask = Callable[[str, JsonObject], Awaitable[tuple[Reply, int]]]


async def take(ask: Ask, capabilities: JsonObject) -> dict[ItemKind, tuple[JsonObject, ...]]:
    """All that the server lists, raw, by kind.

    Raises:
        Denial: more than `MAX_ITEMS` things or `MAX_LISTED_BYTES` (`too-large`), or lists that are none
            (`server-unavailable`).
    """
    budget = _Budget()
    return {kind: await _all_pages(ask, kind, budget) for kind in ItemKind if _CAPABILITIES[kind] in capabilities}


def callable_now(tools: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
    """The tools without those that a client of 2026-07-28 must not know: no headers can be made for their calls."""
    faults = [sdk.header_fault(tool.get("inputSchema")) for tool in tools]
    if found := sum(fault is not None for fault in faults):
        _log.warning("%d tools of a server are left out: what they want in headers cannot be put there", found)
    return tuple(tool for tool, fault in zip(tools, faults, strict=True) if fault is None)


class _Budget:
    """What is left of pages, items and bytes for all lists together."""

    def __init__(self) -> None:
        self.pages = MAX_PAGES
        self.items = MAX_ITEMS
        self.size_bytes = MAX_LISTED_BYTES

    def spend(self, items: int, size_bytes: int) -> None:
        self.pages -= 1
        self.items -= items
        self.size_bytes -= size_bytes
        if min(self.pages, self.items, self.size_bytes) < 0:
            raise Denial(Code.TOO_LARGE, "the server offers more than a person could ever approve")


async def _all_pages(ask: Ask, kind: ItemKind, budget: _Budget) -> tuple[JsonObject, ...]:
    found: dict[str, JsonObject] = {}
    cursor: str | None = None
    while True:
        reply, size_bytes = await ask(kind.list_method, {"cursor": cursor} if cursor is not None else {})
        if reply.is_error:
            if reply.body.get("code") == METHOD_NOT_FOUND and not found:
                return ()
            raise _no_list()
        items = reply.body.get(kind.value)
        if not isinstance(items, list):
            raise _no_list()
        budget.spend(len(items), size_bytes)
        for item in items:
            _add(found, kind, item)
        cursor = reply.body.get("nextCursor")
        if cursor is None:
            return tuple(found.values())
        if not isinstance(cursor, str):
            raise _no_list()


def _add(found: dict[str, JsonObject], kind: ItemKind, item: object) -> None:
    name = item.get(kind.key) if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS:
        raise _no_list()
    if name in found and kind in _UNIQUE:
        raise Denial(Code.SERVER_UNAVAILABLE, "the server lists two things under one name")
    found.setdefault(name, item)


def _no_list() -> Denial:
    return Denial(Code.SERVER_UNAVAILABLE, "the server's list of what it offers is none")
