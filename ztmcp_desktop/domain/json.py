"""JSON as it goes through the gateway, and its one canonical form for digests."""

import json
from collections.abc import Callable
from typing import Any

Json = Any
JsonObject = dict[str, Any]
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Json) -> bytes:
    """The bytes that a digest of `value` is taken over: sorted keys, no spaces, ASCII only.

    Not RFC 8785, which cannot hold integers beyond 2**53; equal values give equal bytes.
    """
    return _CANONICAL.encode(value).encode("ascii")


def map_strings(value: Json, change: Callable[[str], str]) -> Json:
    """A copy of `value` with `change` applied to every string in it, keys included."""
    match value:
        case str():
            return change(value)
        case list():
            return [map_strings(item, change) for item in value]
        case dict():
            return {change(key): map_strings(item, change) for key, item in value.items()}
        case _:
            return value
