"""What a server offers, and the pins of what the person approved."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import Digest, ServerName


class ItemKind(StrEnum):
    """The sorts of things a server lists; the values are the keys of its list results."""

    TOOL = "tools"
    RESOURCE = "resources"
    TEMPLATE = "resourceTemplates"
    PROMPT = "prompts"

    @property
    def list_method(self) -> str:
        """The MCP method that lists this kind."""
        return {
            ItemKind.TOOL: "tools/list",
            ItemKind.RESOURCE: "resources/list",
            ItemKind.TEMPLATE: "resources/templates/list",
            ItemKind.PROMPT: "prompts/list",
        }[self]

    @property
    def key(self) -> str:
        """The member that names an item of this kind."""
        return {ItemKind.RESOURCE: "uri", ItemKind.TEMPLATE: "uriTemplate"}.get(self, "name")


class Era(StrEnum):
    """The two protocol families: with a handshake (to 2025-11-25), and self-contained requests (2026-07-28)."""

    LEGACY = "2025-11-25"
    MODERN = "2026-07-28"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a server said of itself and listed, raw, all pages joined.

    `legacy` is its `initialize` result and `modern` its `server/discover` result; one of them may be None.
    """

    legacy: JsonObject | None = None
    modern: JsonObject | None = None
    items: dict[ItemKind, tuple[JsonObject, ...]] = field(default_factory=dict)

    @property
    def instructions(self) -> str | None:
        """The words addressed to the model, of whichever era has them."""
        for said in (self.modern, self.legacy):
            if said and isinstance(said.get("instructions"), str):
                return str(said["instructions"])
        return None

    def find(self, kind: ItemKind, key: str) -> JsonObject | None:
        """The item of this kind and exact name, or None."""
        return next((item for item in self.items.get(kind, ()) if item.get(kind.key) == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One approved thing. `item` is what the server listed; `digest` is keyed and over all of it."""

    server: ServerName
    kind: ItemKind | None
    name: str
    digest: Digest
    item: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What differs from the approval: `before` and `after` are the items, None where there is none."""

    kind: ItemKind | None
    name: str
    before: JsonObject | None
    after: JsonObject | None


def template_matches(template: str, uri: str) -> bool:
    """Whether `uri` could come of the RFC 6570 `template`: each `{…}` stands for at least one character."""
    parts = re.split(r"\{[^{}]*\}", template)
    position = 0
    for index, part in enumerate(parts):
        found = uri.find(part, position + (1 if index else 0))
        if found < 0 or (index == 0 and found != 0):
            return False
        position = found + len(part)
    return position == len(uri) or (len(parts) > 1 and parts[-1] == "" and position <= len(uri))
