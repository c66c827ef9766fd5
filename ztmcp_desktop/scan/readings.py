"""Every way in which a server may understand one path."""

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from ztmcp_desktop.scan.paths import is_file_url, is_windows_path, option_value

_ENDS = " \t\r\n'\"`"
_MAX_DECODINGS = 2


class UnreadablePathError(ValueError):
    """The path cannot be understood, or has no place on this system. The text says why, without the path."""


def readings(untrusted_path: str, base: Path | None, user_home: Path) -> tuple[Path, ...]:
    """The absolute paths that this may mean, links followed, the plainest first.

    A server may trim spaces and quotes, decode percent signs, normalise Unicode, turn backslashes, drop `..` before or
    after it follows links (CVE-2025-53109, CVE-2025-53110). Whoever permits the path must permit all of them. A
    relative path is taken from `base`; without a base it has no readings unless it climbs out.

    Raises:
        UnreadablePathError: it holds a NUL, names another user's home, a Windows drive or share, or another host.
    """
    found: dict[Path, None] = {}
    for spelling in _spellings(untrusted_path):
        absolute = _absolute(spelling, base, user_home)
        if absolute is not None:
            for text in (absolute, os.path.normpath(absolute)):
                found[_followed(text)] = None
    return tuple(found)


def _spellings(untrusted_path: str) -> list[str]:
    """The path and its variants, the most likely first."""
    plain = option_value(untrusted_path)
    seen = {_without_scheme(plain): None}
    for change in (
        lambda text: text.strip(_ENDS),
        lambda text: "/".join(_without_ending(part) for part in text.split("/")),
        _decoded,
        # Once more, for what only decoding has brought to the ends.
        lambda text: text.strip(_ENDS),
        lambda text: "/".join(_without_ending(part) for part in text.split("/")),
        lambda text: text.replace("\\", "/"),
        lambda text: unicodedata.normalize("NFC", text),
        lambda text: unicodedata.normalize("NFD", text),
    ):
        for text in tuple(seen):
            seen[_without_scheme(change(text))] = None
    return [text for text in seen if text]


def _without_ending(part: str) -> str:
    """A name as systems keep it that drop dots, spaces and quotes at the end; `..` stays what it is."""
    return part.rstrip(". '\"") or part.rstrip(" '\"")


def _decoded(text: str) -> str:
    for _ in range(_MAX_DECODINGS):
        text = unquote(text, errors="surrogateescape")
    return text


def _without_scheme(text: str) -> str:
    """The path of a file URL (RFC 8089), decoded; anything else as it is."""
    trimmed = text.strip(_ENDS)
    if not is_file_url(trimmed):
        return text
    rest = trimmed[5:].replace("\\", "/").split("?", 1)[0].split("#", 1)[0]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if unquote(host).lower() not in {"", "localhost", "127.0.0.1"}:
            raise UnreadablePathError("it is on another host")
        rest = slash + path
    return unquote(rest, errors="surrogateescape")


def _absolute(text: str, base: Path | None, user_home: Path) -> str | None:
    if "\0" in text:
        raise UnreadablePathError("it holds a NUL")
    if is_windows_path(text):
        raise UnreadablePathError("it is a path of another system")
    if text.startswith("~"):
        name, slash, rest = text.partition("/")
        if name == "~":
            return f"{user_home}{slash}{rest}"
        if slash:
            raise UnreadablePathError("it begins with the home of another user")
    if text.startswith("/"):
        return "/" + text.lstrip("/")
    return f"{base}/{text}" if base is not None else None


def _followed(text: str) -> Path:
    try:
        return Path(os.path.realpath(os.fsdecode(os.fsencode(text))))
    except (OSError, ValueError) as error:
        raise UnreadablePathError("no file can have this name") from error
