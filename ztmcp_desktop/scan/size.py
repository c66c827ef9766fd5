"""How large JSON is, found out cheaply."""

import orjson

from ztmcp_desktop.domain.json import Json, canonical


def size_of(value: Json) -> int:
    """The bytes that `value` takes as compact JSON in UTF-8."""
    try:
        return len(orjson.dumps(value))
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return len(canonical(value))


def is_large(value: Json, limit_bytes: int) -> bool:
    """Whether `value` takes more than about so many bytes: for choosing a thread, not for refusing anything."""
    return size_of(value) > limit_bytes
