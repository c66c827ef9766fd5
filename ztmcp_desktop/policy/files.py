"""The folder of the person's rules: what lies in it, and writing to it without leaving half a file."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial

SUFFIX = ".cedar"
MAX_FILES = 500
MAX_BYTES = 64 * 1024
_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

Fingerprint = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The rules as they lie on disk: id to text, and the names of files that cannot be taken, each with why."""

    texts: Mapping[str, str]
    unreadable: Mapping[str, str]


def is_rule_id(untrusted: str) -> bool:
    """Whether a file of this stem may hold a rule: 1 to 64 letters, digits, `_`, `.`, `-`, no sign first."""
    return _RULE_ID.fullmatch(untrusted) is not None


def seal_of(text: str) -> str:
    """SHA-256, hexadecimal; the record that holds it is under an HMAC, and the text lies beside it in the open."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(folder: Path) -> Fingerprint:
    """What tells, without opening a file, whether anything in the folder was touched."""
    try:
        with os.scandir(folder) as entries:
            seen = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (("", error.errno or 0, 0, 0, 0),)
    return tuple(sorted((name, s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_ino) for name, s in seen))


def _read_one(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    return content.decode("utf-8")


def read_folder(folder: Path) -> Reading:
    """All files that end in `.cedar`; links, strange names and files too large are named and not read."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except FileNotFoundError:
        return Reading(texts={}, unreadable={})
    except OSError as error:
        return Reading(texts={}, unreadable={folder.name: f"the folder cannot be read ({error.strerror})"})
    texts: dict[str, str] = {}
    unreadable = dict.fromkeys(names[MAX_FILES:], f"there are more than {MAX_FILES} rules")
    for name in names[:MAX_FILES]:
        rule = name.removesuffix(SUFFIX)
        if not is_rule_id(rule):
            unreadable[name] = "its name is not that of a rule"
            continue
        try:
            texts[rule] = _read_one(folder / name)
        except (OSError, ValueError) as error:
            unreadable[name] = str(error)
    return Reading(texts=texts, unreadable=unreadable)


def write_rule(folder: Path, rule: str, text: str) -> None:
    """Put the rule's file there at once and durably, readable by its owner only.

    Raises:
        Denial: it could not be written (`gateway-fault`).
    """
    target, scratch = folder / f"{rule}{SUFFIX}", folder / f".{rule}.{os.getpid()}.new"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise Denial(Code.GATEWAY_FAULT, f"the rule could not be written ({error.strerror})") from error
