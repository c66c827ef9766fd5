"""Replaces sensitive data in JSON by stand-ins."""

import re
from collections.abc import Callable

from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.domain.names import ServerName, SessionId
from ztmcp_desktop.domain.proof import Kinds
from ztmcp_desktop.pipeline.surrogates import Surrogates
from ztmcp_desktop.scan.redact import number_text
from ztmcp_desktop.scan.sensitive import find, occurs_in

MIN_BLOB_CHARS = 256
_BLOB_KEYS = frozenset({"data", "blob"})
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]+", re.ASCII)
Replace = Callable[[str, str], str]


class Masker:
    """Masks for one session and server at a time."""

    def __init__(self, surrogates: Surrogates) -> None:
        self._surrogates = surrogates

    def mask_value(self, session: SessionId, server: ServerName, value: Json) -> tuple[Json, Kinds]:
        """`value` with every finding in strings, keys and numbers replaced, and what was found."""
        if not _may_hold(value):
            return value, ()
        counts: dict[str, int] = {}

        def stand_in(kind: str, found: str) -> str:
            counts[kind] = counts.get(kind, 0) + 1
            return self._surrogates.stand_in(session, server, kind, found)

        return _walk(value, "", stand_in), tuple(sorted(counts.items()))


def kinds_in(value: Json) -> Kinds:
    """What sensitive data is in `value`, and how often."""
    if not _may_hold(value):
        return ()
    counts: dict[str, int] = {}

    def keep(kind: str, found: str) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        return found

    _walk(value, "", keep)
    return tuple(sorted(counts.items()))


def _may_hold(value: Json) -> bool:
    """Whether anything in `value` looks sensitive: one look at all texts together clears most values."""
    texts: list[str] = []
    _gather(value, "", texts)
    return occurs_in(texts)


def _gather(value: Json, key: str, texts: list[str]) -> None:
    match value:
        case str():
            if not _is_blob(key, value):
                texts.append(value)
        case bool() | None:
            return
        case int() | float():
            texts.append(number_text(value))
        case list():
            for item in value:
                _gather(item, key, texts)
        case dict():
            texts.extend(value)
            for name, item in value.items():
                _gather(item, name, texts)


def _walk(value: Json, key: str, replace: Replace) -> Json:
    match value:
        case str():
            return value if _is_blob(key, value) else _text(value, key, replace)
        case bool() | None:
            return value
        case int() | float():
            digits = number_text(value)
            return _text(digits, key, replace) if digits and find(digits, key) else value
        case list():
            return [_walk(item, key, replace) for item in value]
        case dict():
            return {_text(name, "", replace): _walk(item, name, replace) for name, item in value.items()}
        case _:
            return value


def _is_blob(key: str, text: str) -> bool:
    """Whether this is an image, a sound or a file in base64, which is passed as it is."""
    return key in _BLOB_KEYS and len(text) >= MIN_BLOB_CHARS and _BASE64.fullmatch(text) is not None


def _text(text: str, key: str, replace: Replace) -> str:
    pieces: list[str] = []
    done = 0
    for finding in find(text, key):
        pieces += (text[done : finding.start], replace(finding.kind, text[finding.start : finding.end]))
        done = finding.end
    return "".join((*pieces, text[done:])) if pieces else text
