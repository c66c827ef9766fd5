"""Which arguments are paths of files and folders."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.scan.words import Leaf, strings_of, word_set

MAX_PATH_CHARS = 4096
MAX_SCHEMA_NODES = 5_000


class Basis(Enum):
    """Why an argument is taken for a path."""

    NAMED = "its name or schema says so"
    LOOKS = "it looks like one"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathArgument:
    """A string that stands for a file or folder, as it was given; `pointer` (RFC 6901) says where."""

    pointer: str
    value: str
    basis: Basis


_NAMED = word_set(
    "path paths file files filename filenames filepath filepaths dir dirs directory directories folder folders cwd "
    "pathname workdir"
)
_MAYBE = word_set("source destination src dst dest target output input root repo from to location uri url")
_NOT_A_PATH = word_set("type types format size count id ids mode encoding content contents text")
_FORMATS = frozenset({"path", "file-path", "directory-path", "file", "directory"})
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:(?://)?(?=\S)")
_FILE_URL = re.compile(r"file:", re.IGNORECASE)
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")
_TILDE = re.compile(r"~(?:[^\s/\\]*[/\\]|$)")
_OPTION = re.compile(r"-{1,2}[\w-]+=(?P<value>.+)", re.DOTALL)
_CLIMBS = re.compile(r"(?:^|[\\/])\.\.(?:[\\/]|$)")


def is_windows_path(value: str) -> bool:
    r"""Whether it names a drive, a UNC share or a device (`C:\`, `\\host\share`, `\\?\`)."""
    return bool(_DRIVE.match(value)) or value.startswith(("\\\\", "//?/", "//./"))


def is_file_url(value: str) -> bool:
    """Whether it begins with `file:`, in any case."""
    return _FILE_URL.match(value) is not None


def _looks(value: str) -> bool:
    """Absolute, from a home, a file URL, a Windows path, or one that climbs with `..`."""
    trimmed = value.lstrip(" \t\r\n'\"`")
    if option := _OPTION.fullmatch(trimmed):
        trimmed = option["value"]
    if is_file_url(trimmed) or is_windows_path(trimmed):
        return True
    if _is_url(trimmed):
        return False
    return trimmed.startswith("/") or bool(_TILDE.match(trimmed)) or bool(_CLIMBS.search(trimmed.rstrip(" '\"")))


def _is_url(value: str) -> bool:
    return bool(_URL.match(value)) and not _DRIVE.match(value) and not is_file_url(value)


def _is_named(leaf: Leaf, formats: dict[str, str]) -> bool:
    words = leaf.words
    if formats.get(leaf.key) in _FORMATS:
        return True
    return bool(words) and words[-1] not in _NOT_A_PATH and not _NAMED.isdisjoint(words)


def _may_be(leaf: Leaf) -> bool:
    return not _MAYBE.isdisjoint(leaf.words)


def _basis(leaf: Leaf, formats: dict[str, str]) -> Basis | None:
    """Why this string is a path, None if it is none. A URL of the web is none, unless it climbs."""
    if len(leaf.value) > MAX_PATH_CHARS and not is_file_url(leaf.value.lstrip()):
        # No system opens a longer path, so this is a document or a picture.
        return None
    if leaf.is_key:
        return Basis.LOOKS if _looks(leaf.value) else None
    if _is_named(leaf, formats):
        climbs = _CLIMBS.search(leaf.value) is not None
        return None if _is_url(leaf.value.strip()) and not climbs else Basis.NAMED
    if _looks(leaf.value) and not leaf.prose:
        return Basis.NAMED if is_file_url(leaf.value.strip()) or _may_be(leaf) else Basis.LOOKS
    return None


def _formats(schema: JsonObject) -> dict[str, str]:
    """The `format` of each member that the schema gives one, by the member's name wherever it stands."""
    formats: dict[str, str] = {}
    pending: list[Json] = [schema]
    for seen, node in enumerate(pending):
        if seen > MAX_SCHEMA_NODES:
            break
        if isinstance(node, list):
            pending += node
        if not isinstance(node, dict):
            continue
        properties = node.get("properties")
        if isinstance(properties, dict):
            for name, member in properties.items():
                if isinstance(member, dict):
                    nested = member.get("items")
                    for form in (member.get("format"), nested.get("format") if isinstance(nested, dict) else None):
                        if isinstance(form, str):
                            formats[name] = form.lower()
        pending += node.values()
    return formats


def path_arguments(untrusted_arguments: JsonObject, input_schema: JsonObject) -> tuple[PathArgument, ...]:
    """Every argument that is a path: by its name, by the `format` of the schema, or by its looks, at any depth.

    Member names that look like paths count too. Empty strings do not.
    """
    return tuple(_found(untrusted_arguments, _formats(input_schema)))


def _found(untrusted_arguments: JsonObject, formats: dict[str, str]) -> Iterator[PathArgument]:
    for leaf in strings_of(untrusted_arguments):
        if leaf.value.strip() and (basis := _basis(leaf, formats)) is not None:
            yield PathArgument(pointer=leaf.pointer, value=leaf.value, basis=basis)


def option_value(value: str) -> str:
    """The part of `--name=value` behind the sign, else the whole."""
    option = _OPTION.fullmatch(value)
    return option["value"] if option else value
