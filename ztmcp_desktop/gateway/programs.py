"""What a process is: the file that runs, its hash, its owner, and what started it."""

import hashlib
import os
import re
import sys
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import psutil

from ztmcp_desktop.domain.caller import Attested, Program
from ztmcp_desktop.gateway.scripts import UNTOLD, told_to_run

MAX_HASHES = 256
MAX_HASHED_BYTES = 1024**3
MAX_PARENTS = 8
MAX_ARGUMENTS = 64
MAX_ARGUMENT_CHARS = 1024
_CHUNK = 1024**2
_DELETED = " (deleted)"
# They start everything, so they say nothing about who asked.
_SESSION = frozenset({"systemd", "init", "launchd", "gnome-session-binary", "ksmserver", "explorer.exe"})

# They stand between an application and what it starts, and say nothing either.
_SHELLS = re.compile(r"((ba|da|z|k|fi)?sh|busybox|env|timeout)(\.exe)?|cmd\.exe|powershell\.exe")
BRIDGE = "bridge"

_Version = tuple[int, int, int, int, int]


class NotTold(Exception):  # noqa: N818 - a state, not a fault
    """Something about the process cannot be found out; the text ends a sentence."""


class Programs:
    """Describes processes; keeps the hashes of files that did not change since. For any thread."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[_Version, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, pid: int) -> Attested:
        """The process as it is now, with what started it.

        Raises:
            NotTold: it ended, or may not be looked into.
        """
        try:
            process = psutil.Process(pid)
            return self._described(process)
        except psutil.NoSuchProcess:
            raise NotTold("the program has ended") from None
        except (psutil.Error, OSError, ValueError):
            raise NotTold("the program may not be looked into") from None

    def behind_bridge(self, peer: Attested) -> Attested:
        """Of a process that is our own bridge: what started it, shells left out; any other is what it is.

        Raises:
            NotTold: what started it has ended, or is not to be looked into.
        """
        if BRIDGE not in peer.arguments or peer.program.sha256 != self.of(os.getpid()).program.sha256:
            return peer
        try:
            bridge = psutil.Process(peer.pid)
            started = _first_that_says_something(bridge)
            described = self.of(started.pid)
            if not (bridge.is_running() and started.is_running()):
                raise NotTold("what started the bridge has ended")
        except (psutil.Error, OSError):
            raise NotTold("what started the bridge may not be looked into") from None
        return replace(described, via=f"ztmcp bridge (process {peer.pid})")

    def _described(self, process: psutil.Process) -> Attested:
        with process.oneshot():
            arguments = [argument[:MAX_ARGUMENT_CHARS] for argument in process.cmdline()[:MAX_ARGUMENTS]]
            owner = process.username()
        before = running_file(process)
        program = self._program(process, before[0], arguments)
        if not process.is_running() or running_file(process) != before:
            raise NotTold("the program changed while it was looked at")
        return Attested(
            pid=process.pid, owner=owner, program=program, arguments=tuple(arguments), parents=_parents(process)
        )

    def _program(self, process: psutil.Process, path: str, arguments: list[str]) -> Program:
        proc = f"/proc/{process.pid}/exe"
        # On Linux the running file itself, even where another one stands at its path by now.
        sha256 = self._hash(proc if sys.platform == "linux" else path)
        told = told_to_run(path, arguments, _folder(process))
        if told is None:
            return Program(path=path, sha256=sha256)
        if told.file is None:
            return Program(path=path, sha256=sha256, script=told.text, script_sha256=told.digest)
        try:
            return Program(path=path, sha256=sha256, script=told.text, script_sha256=self._hash(str(told.file)))
        except (OSError, NotTold):
            return Program(path=path, sha256=sha256, script=UNTOLD)

    def _hash(self, path: str) -> str:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        try:
            version = _version(descriptor)
            with self._lock:
                if version in self._hashes:
                    self._hashes.move_to_end(version)
                    return self._hashes[version]
            if version[2] > MAX_HASHED_BYTES:
                raise NotTold("its program file is too large to be read")
            digest = hashlib.sha256()
            while chunk := os.read(descriptor, _CHUNK):
                digest.update(chunk)
            if _version(descriptor) != version:
                raise NotTold("its program file changed while it was read")
        finally:
            os.close(descriptor)
        with self._lock:
            self._hashes[version] = digest.hexdigest()
            while len(self._hashes) > MAX_HASHES:
                self._hashes.popitem(last=False)
        return digest.hexdigest()


def _version(descriptor: int) -> _Version:
    found = os.fstat(descriptor)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def running_file(process: psutil.Process) -> tuple[str, int, int]:
    """The path of what runs, and which file it is: an `exec` meanwhile shows."""
    if sys.platform != "linux":
        path = process.exe()
        found = Path(path).stat()
        return (path, found.st_dev, found.st_ino)
    link = Path(f"/proc/{process.pid}/exe")
    path, found = str(link.readlink()), link.stat()
    return (path.removesuffix(_DELETED) if found.st_nlink == 0 else path, found.st_dev, found.st_ino)


def _folder(process: psutil.Process) -> str | None:
    """Where the process's relative paths begin; None where it sees other files than we do, as in a container."""
    try:
        if sys.platform == "linux" and _view(str(process.pid)) != _view("self"):
            return None
        return process.cwd()
    except (psutil.Error, OSError):
        return None


def _first_that_says_something(bridge: psutil.Process) -> psutil.Process:
    owner, one = bridge.uids().real, bridge
    for _ in range(MAX_PARENTS):
        parent = one.parent()
        if parent is None or parent.uids().real != owner or Path(parent.exe()).name in _SESSION:
            break
        if not _SHELLS.fullmatch(Path(parent.exe()).name):
            return parent
        one = parent
    raise NotTold("what started the bridge has ended, or belongs to another user")


def _view(pid: str) -> tuple[int, int, int]:
    """Which files a process sees: its mounts, and its root among them."""
    root = Path(f"/proc/{pid}/root/").stat()
    return (Path(f"/proc/{pid}/ns/mnt").stat().st_ino, root.st_dev, root.st_ino)


def _parents(process: psutil.Process) -> tuple[str, ...]:
    """What started the process, nearest first, up to the application; it ends where the system does not tell."""
    found: list[str] = []
    one = process
    try:
        owner = process.uids().real if sys.platform != "win32" else None
        while len(found) < MAX_PARENTS:
            parent = one.parent()
            if parent is None or (owner is not None and parent.uids().real != owner):
                break
            path = parent.exe()
            if not path or Path(path).name in _SESSION:
                break
            told = told_to_run(path, parent.cmdline()[:MAX_ARGUMENTS], _folder(parent))
            found.append(f"{path} {told.text}" if told else path)
            one = parent
    except (psutil.Error, OSError):
        pass
    return tuple(found)
