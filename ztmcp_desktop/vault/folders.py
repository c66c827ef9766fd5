"""Our folders on disk: private to the person, and never where a link leads."""

import contextlib
import os
import stat
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.settings import Home

FOLDER_MODE = 0o700
FILE_MODE = 0o600
MAX_FILE_BYTES = 64 * 1024**2
_OTHERS = 0o077
_OTHERS_WRITE = 0o022


def prepare(home: Home) -> None:
    """Create each folder of `home` that is missing, 0700, and check those that are there.

    Raises:
        Denial: one is a symbolic link, no folder, not ours, or open to others (`gateway-fault`); the reason says
            how to mend it.
    """
    parents = {folder.parent for folder in home.folders()}
    for parent in parents:
        parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if len(parents) == 1:
        _check(parents.pop(), _OTHERS_WRITE)
    for folder in home.folders():
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            pass
        except OSError as error:
            raise Denial(Code.GATEWAY_FAULT, f"{folder} cannot be made: {error.strerror}") from error
        _check(folder, _OTHERS)


def _check(folder: Path, forbidden_mode: int) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Denial(
            Code.GATEWAY_FAULT, f"{folder} is a symbolic link or no folder; move it away and start again"
        ) from error
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    _refuse_strange(folder, found, forbidden_mode)


def _refuse_strange(path: Path, found: os.stat_result, forbidden_mode: int) -> None:
    if found.st_uid != os.geteuid():
        raise Denial(Code.GATEWAY_FAULT, f"{path} belongs to another user; move it away and start again")
    if stat.S_IMODE(found.st_mode) & forbidden_mode:
        mode = stat.S_IMODE(found.st_mode) & ~forbidden_mode
        raise Denial(Code.GATEWAY_FAULT, f"{path} is open to other users; run: chmod {mode:o} {path}")


def read_private(path: Path) -> bytes | None:
    """The file's bytes, None where there is no file.

    Raises:
        Denial: a symbolic link, no plain file, not ours, open to others, larger than 64 MiB, or unreadable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"{path} cannot be read, or is a symbolic link; move it away") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise Denial(Code.GATEWAY_FAULT, f"{path} is not a plain file of its own; move it away")
        _refuse_strange(path, found, _OTHERS)
        if found.st_size > MAX_FILE_BYTES:
            raise Denial(Code.GATEWAY_FAULT, f"{path} is larger than anything we write; move it away")
        try:
            return file.read(MAX_FILE_BYTES)
        except OSError as error:
            raise Denial(Code.GATEWAY_FAULT, f"{path} cannot be read: {error.strerror}") from error


def replace_private(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, whole or not at all, durable when this returns.

    Raises:
        Denial: it cannot be written (`gateway-fault`); then the old file stands.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise Denial(Code.GATEWAY_FAULT, f"{path} cannot be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
