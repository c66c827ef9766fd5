"""How large JSON is, found out cheaply."""

import orjson

from ztmcp_desktop.domain.json import Json, canonical


def is_large(value: Json, limit_bytes: int) -> bool:
    """Whether `value` takes more than about so many bytes: for choosing a thread, not for refusing anything."""
    try:
        return len(orjson.dumps(value)) > limit_bytes
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return len(canonical(value)) > limit_bytes
