"""Where the control socket is, however long the path of the home."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial

NAME = "control.sock"
MAX_PATH_BYTES = 100


@contextmanager
def opened_folder(run: Path) -> Iterator[int]:
    """A descriptor of `run`, so that nobody can put another folder in its place meanwhile.

    Raises:
        Denial: it is a link, not ours, or open to others (`gateway-fault`).
        FileNotFoundError: it is not there.
    """
    try:
        descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"{run} is a link or no folder; move it away") from error
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise Denial(Code.GATEWAY_FAULT, f"{run} is not ours alone; run: chmod 700 {run}")
        yield descriptor
    finally:
        os.close(descriptor)


def short_path(run: Path, folder: int) -> str:
    """A path of the socket that fits into an address; `folder` is the open descriptor of `run`.

    Raises:
        Denial: there is no way to shorten it here (`gateway-fault`).
    """
    if Path("/proc/self/fd").is_dir():
        return f"/proc/self/fd/{folder}/{NAME}"
    path = str(run / NAME)
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise Denial(Code.GATEWAY_FAULT, f"the path of {run} is too long; set ZTMCP_HOME to a shorter one")
    return path
