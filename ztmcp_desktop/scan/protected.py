"""What no limit may open: the list that the sandbox and the stage `confine` share (design, What no limit may open)."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access
from ztmcp_desktop.scan.places import (
    CLOSED_ROOTS,
    HIDDEN_ANYWHERE,
    HIDDEN_AT_HOME,
    READ_ONLY_ANYWHERE,
    READ_ONLY_AT_HOME,
    SOCKET_PLACES,
    Parts,
)
from ztmcp_desktop.scan.variables import refuse_variable

__all__ = [
    "Cover",
    "Protected",
    "holds_protected",
    "is_protected",
    "protected_paths",
    "refuse_folder",
    "refuse_variable",
]

MAX_ENTRIES = 1_000_000
MAX_PROTECTED = 1024
_SKIPPED = frozenset({"node_modules", "__pycache__"})
_CONTROL = frozenset({"hooks", "config", "config.worktree", "commondir"})
_TABLES = (HIDDEN_ANYWHERE, HIDDEN_AT_HOME, READ_ONLY_ANYWHERE, READ_ONLY_AT_HOME, SOCKET_PLACES)
_LAST_NAMES = frozenset(parts[-1] for table in _TABLES for parts in table) | _CONTROL | {".git"}


class Cover(StrEnum):
    """How a protected path looks from inside: not there at all, or there and unchangeable."""

    HIDDEN = "hidden"
    READ_ONLY = "read-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """A path inside a permitted folder, and how the sandbox covers it."""

    path: Path
    cover: Cover


def refuse_folder(folder: Path, own: tuple[Path, ...], user_home: Path) -> str | None:
    """Why `folder` may not be a limit, None if it may. Links are followed first."""
    if not folder.is_absolute():
        return f"{folder} is not an absolute path"
    real, home = folder.resolve(), user_home.resolve()
    if (reason := _refuse_place(real, home)) is not None:
        return reason
    for ours in _resolved(own):
        if real == ours or real in ours.parents or ours in real.parents:
            return f"{real} is, holds or lies in {ours}, which is the gateway's own"
    if (found := _cover(real, home)) is not None:
        return f"{real} holds {_WHAT[found]} and may not be a limit"
    return None


def is_protected(path: Path, access: Access, own: tuple[Path, ...], user_home: Path) -> str | None:
    """Why this use of `path` is refused even inside a permitted folder, None if it is not. `path` is resolved."""
    home, ours = user_home.resolve(), _resolved(own)
    for candidate in (Path(os.path.normpath(path)), path.resolve()):
        if any(candidate == folder or folder in candidate.parents for folder in ours):
            return f"{candidate} is the gateway's own"
        match _cover(candidate, home):
            case None:
                continue
            case Cover.READ_ONLY if access is Access.READ_ONLY:
                continue
            case found:
                return f"{candidate} is {_WHAT[found]}"
    return None


def protected_paths(folder: Path, own: tuple[Path, ...], user_home: Path) -> tuple[Protected, ...]:
    """Everything inside `folder` that must be covered, outermost first; only what exists, but for `.git/hooks`.

    And but for `.git/commondir`, which sends git to another folder for its configuration (gitrepository-layout(5)).

    Does not look into `node_modules` and follows no links, since what they lead to is not mounted.

    Raises:
        Denial: the folder holds too much to be searched, so it is no safe limit (`outside-limits`).
    """
    home, found = user_home.resolve(), dict[Path, Cover]()
    for ours in _resolved(own):
        if folder in ours.parents:
            found[ours] = Cover.HIDDEN
    for path in _walk(folder, home):
        cover = _cover(path, home)
        if cover is not None and not any(parent in found for parent in path.parents):
            found[path] = cover
        if len(found) > MAX_PROTECTED:
            raise Denial(
                Code.OUTSIDE_LIMITS,
                f"{folder} holds more than {MAX_PROTECTED} protected places; choose a narrower folder",
            )
    return tuple(Protected(path=path, cover=found[path]) for path in sorted(found, key=lambda p: len(p.parts)))


def holds_protected(folder: Path, own: tuple[Path, ...], user_home: Path) -> str | None:
    """Why `folder` may not be shown as part of a runtime: it holds, is or lies in something hidden. None if it may.

    Knows the places in the home and our folders by name; does not search the disk.
    """
    real, home = folder.resolve(), user_home.resolve()
    if real == Path("/") or real == home or real in home.parents:
        return f"{real} is or holds your home folder"
    for ours in _resolved(own):
        if real == ours or real in ours.parents or ours in real.parents:
            return f"{real} is, holds or lies in {ours}, which is the gateway's own"
    if _cover(real, home) is Cover.HIDDEN:
        return f"{real} is {_WHAT[Cover.HIDDEN]}"
    for parts in HIDDEN_AT_HOME:
        if real in (place := home.joinpath(*parts)).parents and place.exists():
            return f"{real} holds {place}"
    return None


_WHAT = {
    Cover.HIDDEN: "a place of keys, credentials, browsers' profiles or AI clients' settings",
    Cover.READ_ONLY: "something that programs run or obey when they start",
}


def _refuse_place(real: Path, home: Path) -> str | None:
    if real == Path("/"):
        return "the whole disk may not be a limit"
    if real == home or real in home.parents:
        return f"{real} is or holds your home folder; choose a folder inside it"
    for root in CLOSED_ROOTS:
        if real == root or root in real.parents:
            return f"{real} belongs to the system ({root}) and may not be a limit"
    return None


def _resolved(own: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(folder.resolve() for folder in own)


def _key(part: str) -> str:
    """One spelling for what a case-insensitive or normalising file system takes for the same name."""
    return unicodedata.normalize("NFC", part).casefold()


def _cover(path: Path, home: Path) -> Cover | None:
    """The strictest cover of a path by its name and place."""
    keys = tuple(_key(part) for part in path.parts)
    at_home = tuple(_key(part) for part in home.parts)
    inside = keys[len(at_home) :] if keys[: len(at_home)] == at_home else ()
    if _starts(inside, HIDDEN_AT_HOME) or _contains(keys, HIDDEN_ANYWHERE) or _starts(keys[1:], SOCKET_PLACES):
        return Cover.HIDDEN
    if _starts(inside, READ_ONLY_AT_HOME) or _contains(keys, READ_ONLY_ANYWHERE):
        return Cover.READ_ONLY
    return Cover.READ_ONLY if _is_repository_control(path, keys) else None


def _starts(keys: Parts, places: frozenset[Parts]) -> bool:
    return any(keys[:length] in places for length in range(1, len(keys) + 1))


def _contains(keys: Parts, places: frozenset[Parts]) -> bool:
    return any(_starts(keys[index:], places) for index in range(len(keys)))


def _is_repository_control(path: Path, keys: Parts) -> bool:
    """Hooks and configuration of a bare repository or a submodule; and `.git` as a file, which points to another."""
    if keys and keys[-1] == ".git":
        return path.is_file()
    if keys[-1:] == ("commondir",) and (path.parent / "HEAD").is_file():
        # Of a worktree, which has no objects of its own.
        return True
    return any(key in _CONTROL and _is_repository(Path(*path.parts[:depth])) for depth, key in enumerate(keys))


def _is_repository(folder: Path) -> bool:
    try:
        return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    except OSError:
        return True


def _walk(folder: Path, home: Path) -> Iterator[Path]:
    """The paths below `folder` whose names may matter, outermost first; some of git's even where they are missing."""
    pending, seen = [str(folder)], 0
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_ENTRIES:
                        raise Denial(
                            Code.OUTSIDE_LIMITS,
                            f"{folder} holds more than {MAX_ENTRIES} entries, too many to search for what must stay "
                            "covered; choose a narrower folder",
                        )
                    key = _key(entry.name)
                    if key in _LAST_NAMES:
                        yield Path(entry.path)
                    if key == "head" and _is_repository(Path(entry.path).parent):
                        yield Path(entry.path).with_name("commondir")
                    if entry.is_dir(follow_symlinks=False):
                        if key == ".git":
                            yield Path(entry.path) / "hooks"
                            yield Path(entry.path) / "commondir"
                        if _descends(Path(entry.path), key, home):
                            pending.append(entry.path)
        except (PermissionError, FileNotFoundError):
            # What we may not list, the server, which has no more rights than we, may not list either.
            continue


def _descends(path: Path, key: str, home: Path) -> bool:
    if key in _SKIPPED or (key == "objects" and _is_repository(path.parent)):
        return False
    return key not in _LAST_NAMES or _cover(path, home) is None
