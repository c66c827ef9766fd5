"""File descriptors that are handed to bubblewrap: content that is on no disk, and folders that cannot be swapped."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ztmcp_desktop.domain.denial import Code, Denial

COMMON_DIR = "commondir"
_STANDARD_ERROR = 2


class Descriptors:
    """Open descriptors of one start; ours are closed when the block is left."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close ours; whoever inherited them keeps theirs."""
        for number in self._open:
            with suppress(OSError):
                os.close(number)
        self._open.clear()

    def keep(self, number: int) -> str:
        """Close this one too when the block is left; gives it as an argument."""
        self._open.append(number)
        return str(number)

    def data(self, name: str, content: bytes) -> str:
        """An anonymous file in memory with this content, read from its beginning."""
        number = os.memfd_create(name, os.MFD_CLOEXEC)
        self._open.append(number)
        written = 0
        while written < len(content):
            written += os.write(number, content[written:])
        os.lseek(number, 0, os.SEEK_SET)
        return str(number)

    def numbers(self) -> tuple[int, ...]:
        """All of them, for the child to inherit."""
        return tuple(self._open)


def open_exactly(path: Path) -> int:
    """A descriptor of just this path.

    Raises:
        Denial: it is gone, or reached through a link: it was swapped since it was checked (`outside-limits`).
    """
    try:
        number = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Denial(Code.OUTSIDE_LIMITS, f"{path} is no longer what was approved") from error
    # O_PATH with O_NOFOLLOW opens a link itself, so its kind is looked at too.
    if stat.S_ISLNK(os.fstat(number).st_mode) or Path(f"/proc/self/fd/{number}").readlink() != path:
        os.close(number)
        raise Denial(Code.OUTSIDE_LIMITS, f"{path} is reached through a link, so it is not what was approved")
    return number


def keep_common(path: Path) -> None:
    """Make a repository's `commondir` where it is missing, saying what holds without it, so that it can be covered.

    A missing file cannot be covered, and git runs what the configuration says of the folder that is named in it. The
    file stays: it means the same as none (gitrepository-layout(5)).

    Raises:
        Denial: it cannot be made, so the repository cannot be kept from being led elsewhere (`outside-limits`).
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return
    except OSError as error:
        raise Denial(Code.OUTSIDE_LIMITS, f"{path} cannot be kept from being written: {error.strerror}") from error
    with os.fdopen(number, "wb") as file:
        file.write(b".\n")


def keep_to_ourselves() -> None:
    """Let no child inherit what is open here but its three pipes and what is passed to it by number.

    asyncio closes the others in the child, uvloop does not; and what we inherited ourselves is open for heirs.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        if (number := int(name)) > _STANDARD_ERROR:
            with suppress(OSError):
                os.set_inheritable(number, False)  # noqa: FBT003 - as the library wants it
