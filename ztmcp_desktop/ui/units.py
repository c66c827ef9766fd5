"""Sizes, times and limits in words that a person reads."""

import re
from datetime import datetime

from ztmcp_desktop.domain.json import Json, JsonObject

_STEP = 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LIMITS = {
    "memory_bytes": "memory",
    "processes": "processes",
    "open_files": "open files",
    "call_s": "time for a call",
    "start_s": "time to start",
    "result_bytes": "largest answer",
}


def size_text(size_bytes: int) -> str:
    """`2 GiB`, `1.5 MiB`, `410 bytes`; a size that no short number says exactly stays in bytes beside it."""
    size, at = float(size_bytes), 0
    while size >= _STEP and at < len(_UNITS) - 1:
        size, at = size / _STEP, at + 1
    text = f"{size:.4g} {_UNITS[at]}"
    return text if float(f"{size:.4g}") == size else f"{text} ({size_bytes:,} bytes)"


def moment_text(text: str) -> str:
    """A time as our own rows write it, as local date and time; any other text stays as it is."""
    if not _MOMENT.fullmatch(text):
        return text
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return text


def limit_facts(limits: JsonObject) -> list[tuple[str, Json]]:
    """(label, value) for each limit; one without a word of its own stays as it is."""
    return [(_LIMITS.get(key, key.replace("_", " ")), _limit(key, value)) for key, value in limits.items()]


def _limit(key: str, value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if key.endswith("_bytes"):
        return size_text(int(value))
    return f"{value:g} s" if key.endswith("_s") else f"{value:,}"
