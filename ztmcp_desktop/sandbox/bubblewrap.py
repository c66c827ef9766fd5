"""bubblewrap: namespaces of its own, an empty environment, and of the disk only what was given (bwrap(1))."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.limits import Access, Limits
from ztmcp_desktop.domain.sandbox import Launch, SandboxReport
from ztmcp_desktop.ports import ChildProcess, Sandbox
from ztmcp_desktop.sandbox.cgroup import Group, Groups, find_groups
from ztmcp_desktop.sandbox.plan import SCRATCH, TEMPORARY_BYTES, Mount, etc_files, plan_mounts, system_arguments
from ztmcp_desktop.sandbox.process import ConfinedProcess
from ztmcp_desktop.sandbox.refusing import Refusing
from ztmcp_desktop.sandbox.seccomp import program

NAME = "bubblewrap"
BEGIN_S = 10.0
TRY_S = 10.0
MAX_INFO_BYTES = 4096
PIPE_BYTES = 1024 * 1024
PRLIMIT = "/usr/bin/prlimit"
MEND = "Install it (apt-get install bubblewrap) and let users make namespaces (kernel.unprivileged_userns_clone=1)."
_ISOLATED = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
    *("--clearenv", "--cap-drop", "ALL", "--hostname", "server"),
)


def open_sandbox(own_folders: tuple[Path, ...], user_home: Path, packages: Path) -> Sandbox:
    """The sandbox of this machine; one that refuses where there is none."""
    if sys.platform != "linux":
        return Refusing(NAME, f"there is no sandbox for {sys.platform} yet.", "Use a remote server, or ztmcp on Linux.")
    bwrap = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if bwrap is None:
        return Refusing(NAME, "bubblewrap is not installed.", MEND)
    sandbox = Bubblewrap(bwrap, own_folders, user_home, packages)
    report = sandbox.report()
    return sandbox if report.works else Refusing(NAME, report.reason, report.mend)


class Bubblewrap:
    """Implements `ports.Sandbox`.

    `--die-with-parent` follows the thread that spawns, so `start` must be called on the core's loop, whose thread
    lives as long as the core.
    """

    def __init__(self, bwrap: str, own_folders: tuple[Path, ...], user_home: Path, packages: Path | None) -> None:
        self._bwrap = bwrap
        self._own = own_folders
        self._home = user_home
        self._packages = packages
        self._groups = find_groups()
        self._groups.sweep()
        self._report: SandboxReport | None = None

    def report(self) -> SandboxReport:
        if self._report is None:
            self._report = self._try()
        return self._report

    async def start(self, launch: Launch) -> ChildProcess:
        if not self.report().works:
            raise Denial(Code.SERVER_UNAVAILABLE, f"{launch.server} cannot be confined: {self.report().reason}")
        mounts = await asyncio.to_thread(plan_mounts, launch, self._own, self._home, self._packages)
        group = self._groups.make(launch.limits.memory_bytes, launch.limits.processes) if self._groups.bases else None
        with ExitStack() as stack:
            stack.callback(_removed, group)
            started = await self._spawn(launch, mounts, group)
            stack.pop_all()
        return started

    async def _spawn(self, launch: Launch, mounts: tuple[Mount, ...], group: Group | None) -> ConfinedProcess:
        with _Descriptors() as files:
            info, block = files.pipe(), files.pipe()
            arguments = [*_ISOLATED, "--info-fd", str(info.write), "--block-fd", str(block.read)]
            arguments += self._view(launch, mounts, files)
            listed = files.holding(b"\0".join(part.encode("utf-8", "surrogateescape") for part in arguments) + b"\0")
            process = await asyncio.create_subprocess_exec(
                self._bwrap,
                "--args",
                str(listed),
                "--",
                *_limited(launch.limits, self._groups),
                *launch.runtime.argv,
                env={},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=files.passed(info.write, block.read),
                limit=PIPE_BYTES,
                close_fds=True,
            )
            files.close(info.write, block.read)
            try:
                pidfd = await self._begin(launch, process, files, info.read, group)
                os.write(block.write, b"1")
            except BaseException:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                raise
        return ConfinedProcess(process, pidfd, group)

    async def _begin(
        self, launch: Launch, process: asyncio.subprocess.Process, files: "_Descriptors", info: int, group: Group | None
    ) -> int:
        """Put the stopped process into its group; gives a reference to process 1 of its namespace."""
        try:
            told = await asyncio.wait_for(_read_all(info), BEGIN_S)
            child = int(json.loads(told)["child-pid"])
            pidfd = os.pidfd_open(child)
        except (TimeoutError, ValueError, KeyError, OSError) as error:
            raise await _not_started(launch, process) from error
        try:
            if group is not None:
                group.add(child)
        except OSError as error:
            os.close(pidfd)
            raise Denial(Code.SERVER_UNAVAILABLE, f"the limits of {launch.server} could not be set") from error
        return pidfd

    def _view(self, launch: Launch, mounts: tuple[Mount, ...], files: "_Descriptors") -> Iterator[str]:
        yield from system_arguments()
        for path, content in etc_files(os.getuid(), os.getgid()).items():
            yield from ("--perms", "0444", "--ro-bind-data", str(files.holding(content)), path)
        if launch.scratch is None:
            yield from ("--size", str(TEMPORARY_BYTES), "--tmpfs", SCRATCH)
        else:
            yield from ("--bind", str(launch.scratch), SCRATCH)
        for mount in mounts:
            yield from _mount(mount, files)
        yield from ("--remount-ro", "/")
        folders = launch.limits.folders
        yield from ("--chdir", str(folders[0].path) if folders else SCRATCH)
        for key, value in _environment(launch).items():
            yield from ("--setenv", key, value)
        filter_program = program()
        if filter_program is not None:
            yield from ("--seccomp", str(files.holding(filter_program)))

    def _try(self) -> SandboxReport:
        """Run `true` confined, once."""
        command = [self._bwrap, *_ISOLATED, *system_arguments(), "--", "/usr/bin/true"]
        try:
            done = subprocess.run(command, env={}, capture_output=True, timeout=TRY_S, check=False)  # noqa: S603
            why = done.stderr.decode(errors="replace").strip().splitlines()
            reason = "" if done.returncode == 0 else f"bubblewrap does not work here: {why[-1] if why else 'no reason'}"
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = f"bubblewrap does not run here ({type(error).__name__})."
        if reason:
            return SandboxReport(name=NAME, works=False, reason=reason, mend=MEND)
        return SandboxReport(name=NAME, works=True, missing=_missing(self._groups))


def _mount(mount: Mount, files: "_Descriptors") -> Iterator[str]:
    path = str(mount.path)
    if mount.hidden and mount.path.is_dir():
        yield from ("--perms", "0000", "--size", "4096", "--tmpfs", path, "--remount-ro", path)
    elif mount.hidden:
        yield from ("--perms", "0000", "--ro-bind-data", str(files.holding(b"")), path)
    else:
        yield from ("--bind" if mount.access is Access.READ_WRITE else "--ro-bind", path, path)


def _environment(launch: Launch) -> Mapping[str, str]:
    folders = [str(path) for path in launch.runtime.path]
    return {
        "PATH": ":".join(dict.fromkeys([*folders, "/usr/local/bin", "/usr/bin", "/bin"])),
        "HOME": SCRATCH,
        "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        **launch.env.open(),
    }


def _limited(limits: Limits, groups: Groups) -> list[str]:
    """prlimit(1) with what binds a single process, and what binds an ordinary user's tree inside its namespace.

    RLIMIT_DATA and not RLIMIT_AS: JavaScript engines reserve more addresses than there is memory.
    """
    given = [PRLIMIT, f"--nofile={limits.open_files}", "--core=0"]
    if "pids" not in groups.bases and os.getuid() != 0:
        given.append(f"--nproc={limits.processes}")
    if "memory" not in groups.bases:
        given.append(f"--data={limits.memory_bytes}")
    return [*given, "--"]


def _missing(groups: Groups) -> tuple[str, ...]:
    missing = []
    if "pids" not in groups.bases and os.getuid() == 0:
        missing.append("The number of processes is not limited: root needs a pids control group, and none can be made.")
    if "memory" not in groups.bases:
        missing.append("Memory is limited for each process of a server, not for all of them together.")
    if program() is None:
        missing.append("System calls are not filtered on this processor.")
    return tuple(missing)


async def _read_all(descriptor: int) -> bytes:
    """What the other end writes before it closes; waits in the loop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_INFO_BYTES)
    pipe = os.fdopen(os.dup(descriptor), "rb", 0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.readuntil(b"}")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("bubblewrap told nothing") from error
    finally:
        transport.close()


async def _not_started(launch: Launch, process: asyncio.subprocess.Process) -> Denial:
    if process.returncode is None:
        process.kill()
    said = await process.stderr.read(MAX_INFO_BYTES) if process.stderr else b""
    await process.wait()
    lines = said.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
    return Denial(
        Code.SERVER_UNAVAILABLE, f"{launch.server} could not be started confined: {lines[-1][:300]}", Retry.LATER
    )


def _removed(group: Group | None) -> None:
    if group is not None:
        group.remove()


@dataclass(frozen=True, slots=True)
class _Pipe:
    read: int
    write: int


@dataclass(slots=True)
class _Descriptors:
    """The file descriptors of one start; all of ours are closed at the end of the block."""

    open_: set[int] = field(default_factory=set)
    held: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(*self.open_)

    def pipe(self) -> _Pipe:
        read, write = os.pipe()
        self.open_ |= {read, write}
        return _Pipe(read, write)

    def holding(self, content: bytes) -> int:
        """A descriptor from which bubblewrap reads `content`; it is in memory and has no name."""
        descriptor = os.memfd_create("ztmcp", os.MFD_CLOEXEC)
        self.open_.add(descriptor)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.held.append(descriptor)
        return descriptor

    def passed(self, *others: int) -> tuple[int, ...]:
        return (*self.held, *others)

    def close(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            if descriptor in self.open_:
                self.open_.discard(descriptor)
                os.close(descriptor)
