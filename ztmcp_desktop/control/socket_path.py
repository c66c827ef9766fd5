"""Our sockets in `run/`: where they are, however long the home's path, made and reached without following links."""

import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial

CONTROL = "control.sock"
BRIDGE = "bridge.sock"
MAX_PATH_BYTES = 100
_CREDENTIALS = struct.Struct("3i")


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


def listen_at(run: Path, name: str, backlog: int) -> socket.socket:
    """A socket that listens as `run/NAME`, 0600; what an earlier gateway left there is removed.

    Raises:
        Denial: something that is no socket, or a link, stands in its place, or it cannot be made (`gateway-fault`).
    """
    with opened_folder(run) as folder:
        remove(folder, name)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(short_path(run, folder, name))
            os.chmod(name, 0o600, dir_fd=folder)
            listening.listen(backlog)
        except OSError as error:
            listening.close()
            raise Denial(Code.GATEWAY_FAULT, f"the socket {name} cannot be made: {error.strerror}") from error
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


def connect_to(run: Path, name: str, timeout_s: float) -> socket.socket:
    """A connection to whoever listens as `run/NAME`.

    Raises:
        Denial: `run` is not ours alone, or a link or no socket stands there (`gateway-fault`).
        OSError: nobody listens (`FileNotFoundError`, `ConnectionRefusedError`), or it cannot be reached.
    """
    with opened_folder(run) as folder:
        if not stat.S_ISSOCK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise Denial(Code.GATEWAY_FAULT, f"run/{name} is a link or no socket; remove it")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(short_path(run, folder, name))
        except OSError:
            connection.close()
            raise
        return connection


def remove(folder: int, name: str) -> None:
    """Remove what an earlier gateway left; refuse to touch anything else. `folder` is open.

    Raises:
        Denial: it is a link or no socket (`gateway-fault`).
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Denial(Code.GATEWAY_FAULT, f"run/{name} is a link or no socket; remove it and start again")
    os.unlink(name, dir_fd=folder)


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end is this user; where the system does not tell, the folder's mode has decided."""
    if not sys.platform.startswith("linux"):
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return bool(uid == os.geteuid())


def short_path(run: Path, folder: int, name: str) -> str:
    """A path of the socket that fits into an address; `folder` is the open descriptor of `run`.

    Raises:
        Denial: there is no way to shorten it here (`gateway-fault`).
    """
    if Path("/proc/self/fd").is_dir():
        return f"/proc/self/fd/{folder}/{name}"
    path = str(run / name)
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise Denial(Code.GATEWAY_FAULT, f"the path of {run} is too long; set ZTMCP_HOME to a shorter one")
    return path
