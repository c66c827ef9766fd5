"""Pins: the keyed digest of each approved thing, what differs from it, and names that deceive."""

import unicodedata
from collections.abc import Iterator

from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.offer import Change, ItemKind, Offer, Pin
from ztmcp_desktop.scan.hidden import visible as _visible

MAX_DESCRIBED_LINES = 200
MAX_WARNINGS = 100

_NOUNS = {
    ItemKind.TOOL: "tool",
    ItemKind.RESOURCE: "resource",
    ItemKind.TEMPLATE: "resource template",
    ItemKind.PROMPT: "prompt",
}

# Letters of other scripts that look like Latin ones (Unicode TR 39, confusables, the part that names of tools meet).
_LOOK_ALIKES = str.maketrans("аеорсухіјѕԁһԛԝѵɡıοαερυνκτιϲ", "aeopcyxijsdhqwvgioaepuvktic")
_DIGITS = str.maketrans("01", "ol")


def visible(text: str) -> str:
    """`text` on one line, with nothing hidden in it."""
    return _visible(text).replace("\n", "⟦U+000A⟧").replace("\t", " ")


def server_item(offer: Offer) -> JsonObject:
    """What is pinned of the server itself: its instructions."""
    return {"instructions": offer.instructions}


def pin(digester: Digester, server: ServerName, kind: ItemKind | None, item: JsonObject) -> Pin:
    """The pin of one listed thing, or of the server where `kind` is None. The order of keys does not matter."""
    name = item.get(kind.key) if kind else server
    return Pin(server=server, kind=kind, name=str(name), digest=digester.of(_purpose(kind), item), item=item)


def _purpose(kind: ItemKind | None) -> str:
    return f"pin {kind.value if kind else 'server'}"


def compare(approved: Offer, seen: Offer) -> tuple[Change, ...]:
    """What differs, things in the order of the approval, new ones last.

    Resources that come and go are no change: what a server stores is not what it promises.
    """
    changes: list[Change] = []
    before, after = server_item(approved), server_item(seen)
    if not same(before, after):
        changes.append(Change(kind=None, name="", before=before, after=after))
    for kind in ItemKind:
        old = {str(item.get(kind.key)): item for item in approved.items.get(kind, ())}
        new = {str(item.get(kind.key)): item for item in seen.items.get(kind, ())}
        for name in [*old, *(name for name in new if name not in old)]:
            was, now = old.get(name), new.get(name)
            if kind is ItemKind.RESOURCE and (was is None or now is None):
                continue
            if was is None or now is None or not same(was, now):
                changes.append(Change(kind=kind, name=name, before=was, after=now))
    return tuple(changes)


def same(one: Json, other: Json) -> bool:
    """Whether two JSON values are equal; unlike in Python, 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def describe(change: Change) -> tuple[str, ...]:
    """The change in lines for the person: what was (`-`) and what is now (`+`), hidden characters visible."""
    noun = _NOUNS[change.kind] if change.kind else "server"
    name = visible(change.name)
    if change.before is None:
        return (f"new {noun} {name}",)
    if change.after is None:
        return (f"{noun} {name} is not offered any more",)
    lines = [f"{noun} {name} changed".replace("  ", " ")]
    for path, was, now in _differences(change.before, change.after, ""):
        lines += [f"{path}:", f"- {_shown(was)}", f"+ {_shown(now)}"]
        if len(lines) > MAX_DESCRIBED_LINES:
            return (*lines[:MAX_DESCRIBED_LINES], "… and more")
    return tuple(lines)


_ABSENT = object()


def _differences(was: Json, now: Json, path: str) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            here = f"{path}.{visible(key)}" if path else visible(key)
            yield from _differences(was.get(key, _ABSENT), now.get(key, _ABSENT), here)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, pair in enumerate(zip(was, now, strict=True)):
            yield from _differences(*pair, f"{path}[{index}]")
    elif not same(was, now):
        yield path, was, now


def _shown(value: Json) -> str:
    if value is _ABSENT:
        return "(nothing)"
    return visible(value) if isinstance(value, str) else visible(repr(value))


def warnings(offer: Offer) -> tuple[str, ...]:
    """Sentences about names that could be taken for others (T4), for whoever approves the offer."""
    found: list[str] = []
    for kind in (ItemKind.TOOL, ItemKind.PROMPT):
        by_look: dict[str, str] = {}
        exact: set[str] = set()
        for item in offer.items.get(kind, ()):
            name = str(item.get(kind.key))
            noun, shown = _NOUNS[kind], visible(name)
            if name in exact:
                found.append(f"the {noun} {shown} is listed more than once")
                continue
            exact.add(name)
            if name != name.strip() or name != unicodedata.normalize("NFC", name) or shown != name:
                found.append(f"the name of the {noun} '{shown}' holds spaces at its ends or hidden characters")
            elif not name.isascii():
                found.append(f"the name of the {noun} '{shown}' holds letters that may look like others")
            twin = by_look.setdefault(look(name), name)
            if twin != name:
                found.append(f"the {noun}s '{visible(twin)}' and '{shown}' look alike")
    return tuple(found[:MAX_WARNINGS])


def look(name: str) -> str:
    """What a hurried reader sees: case, width, accents, hidden characters and look-alike letters set aside."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(c for c in folded if unicodedata.category(c)[0] not in "CZM")
    return seen.translate(_LOOK_ALIKES).translate(_DIGITS)
