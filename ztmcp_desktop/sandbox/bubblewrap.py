"""Confines local servers on Linux with bubblewrap (bwrap(1)); without it nothing starts."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access
from ztmcp_desktop.domain.sandbox import Launch, SandboxReport
from ztmcp_desktop.ports import Sandbox
from ztmcp_desktop.sandbox import seccomp
from ztmcp_desktop.sandbox.cgroup import Group, Groups, find_groups
from ztmcp_desktop.sandbox.descriptors import COMMON_DIR, Descriptors, keep_common, open_exactly
from ztmcp_desktop.sandbox.plan import SCRATCH, TEMPORARY_BYTES, Mount, etc_files, plan_mounts, system_arguments
from ztmcp_desktop.sandbox.process import ConfinedProcess
from ztmcp_desktop.sandbox.refusing import Refusing
from ztmcp_desktop.sandbox.starting import Start, spawn

NAME = "bubblewrap"
PROBE_S = 10.0
MAX_ARGUMENTS = 8500
_PROGRAMS = "/usr/bin:/bin:/usr/local/bin"
_PATH = "/usr/local/bin:/usr/bin:/bin"
# Since 5.14 the kernel counts RLIMIT_NPROC in each user namespace for itself; before, a person's own processes count.
_COUNTS_IN_NAMESPACE = (5, 14)

_NO_BWRAP = ("bubblewrap is not installed.", "Install it, e.g. with `apt install bubblewrap`, and start again.")
_MEND_NAMESPACES = (
    "Allow unprivileged user namespaces: `sysctl kernel.unprivileged_userns_clone=1` on Debian; on Ubuntu 24.04 and "
    "later install the AppArmor profile of bubblewrap or set `kernel.apparmor_restrict_unprivileged_userns=0`; in a "
    "container, start it with the right to make namespaces."
)


def open_sandbox(own_folders: tuple[Path, ...], user_home: Path) -> Sandbox:
    """The sandbox of this system; where there is none, one that refuses and says so."""
    if sys.platform != "linux":
        return Refusing(
            "none",
            "There is no sandbox for this system yet.",
            "Use servers at a URL, or run the gateway on Linux.",
        )
    return Bubblewrap(own_folders, user_home)


class Bubblewrap:
    """Implements `ports.Sandbox`: own namespaces, no network, and of the disk only what was approved.

    `start` must be awaited on a loop whose thread lives as long as the core: bubblewrap's `--die-with-parent` follows
    the thread that spawned it, not the process (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(
        self,
        own_folders: tuple[Path, ...],
        user_home: Path,
        *,
        program: str | None = None,
        groups: Groups | None = None,
    ) -> None:
        self._own = own_folders
        self._user_home = user_home
        self._program = program or shutil.which("bwrap", path=_PROGRAMS)
        self._prlimit = shutil.which("prlimit", path=_PROGRAMS)
        self._groups = find_groups() if groups is None else groups
        self._features: frozenset[str] = frozenset()
        self._report: SandboxReport | None = None

    def report(self) -> SandboxReport:
        if self._report is None:
            self._groups.sweep()
            self._report = self._examine()
        return self._report

    async def start(self, launch: Launch) -> ConfinedProcess:
        report = await asyncio.to_thread(self.report)
        if not report.works or self._program is None:
            return await Refusing(NAME, report.reason, report.mend).start(launch)
        mounts = await asyncio.to_thread(plan_mounts, launch, self._own, self._user_home)
        with Descriptors() as descriptors:
            arguments = [
                *self._base(descriptors),
                *self._own_files(descriptors),
                *self._view(mounts, descriptors),
                *self._inside(launch),
            ]
            if len(arguments) > MAX_ARGUMENTS:
                raise Denial(Code.OUTSIDE_LIMITS, f"{launch.server} has too many folders and variables to be confined")
            start = Start(
                program=self._program,
                options=arguments,
                command=(*self._limits(launch), *launch.runtime.argv),
                group=self._group(launch),
            )
            spawned = await spawn(start, descriptors)
        return ConfinedProcess(spawned.process, spawned.init_pidfd, start.group)

    def _group(self, launch: Launch) -> Group | None:
        if not self._groups.bases:
            return None
        # Process 1 inside is bubblewrap's own.
        return self._groups.make(launch.limits.memory_bytes, launch.limits.processes + 1)

    def _base(self, descriptors: Descriptors) -> Iterator[str]:
        """What holds for every confined process. With --clearenv nothing of our environment passes."""
        yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv")
        yield from ("--hostname", "sandbox", "--cap-drop", "ALL")
        if "--disable-userns" in self._features:
            yield "--disable-userns"
        if (filter_program := seccomp.program()) is not None:
            yield from ("--seccomp", descriptors.data("filter", filter_program))
        yield from system_arguments()

    @staticmethod
    def _own_files(descriptors: Descriptors) -> Iterator[str]:
        for path, content in etc_files(os.getuid(), os.getgid()).items():
            yield from ("--ro-bind-data", descriptors.data("file", content), path)

    def _view(self, mounts: tuple[Mount, ...], descriptors: Descriptors) -> Iterator[str]:
        by_descriptor = "--bind-fd" in self._features
        for mount in mounts:
            path = str(mount.path)
            if mount.hidden:
                if mount.path.is_dir():
                    yield from ("--perms", "0000", "--tmpfs", path, "--remount-ro", path)
                else:
                    yield from ("--ro-bind", os.devnull, path)
                continue
            if mount.path.name == COMMON_DIR:
                keep_common(mount.path)
            option = "--bind" if mount.access is Access.READ_WRITE else "--ro-bind"
            if not mount.path.exists():
                # Of folders, only `.git/hooks` is covered before it is there.
                yield from ("--perms", "0755", "--tmpfs", path, "--remount-ro", path)
            elif by_descriptor:
                yield from (f"{option}-fd", descriptors.keep(open_exactly(mount.path)), path)
            else:
                yield from (option, path, path)

    def _inside(self, launch: Launch) -> Iterator[str]:
        """The scratch home, the closed root, where the process stands, and its environment."""
        if launch.scratch is None:
            yield from ("--size", str(TEMPORARY_BYTES), "--perms", "0700", "--tmpfs", SCRATCH)
        else:
            yield from ("--bind", str(launch.scratch), SCRATCH)
        yield from ("--remount-ro", "/dev", "--remount-ro", "/")
        folders = launch.limits.folders
        yield from ("--chdir", str(folders[0].path) if folders else SCRATCH)
        for name, value in environment(launch).items():
            if "\0" in name + value or "=" in name or not name:
                raise Denial(Code.OUTSIDE_LIMITS, f"{launch.server} has a variable that no environment can hold")
            yield from ("--setenv", name, value)

    def _limits(self, launch: Launch) -> tuple[str, ...]:
        limits = launch.limits
        if self._prlimit is None:
            return ()
        command = [self._prlimit, f"--nofile={limits.open_files}", "--core=0"]
        if "memory" not in self._groups.bases:
            command.append(f"--data={limits.memory_bytes}")
        if "pids" not in self._groups.bases and os.getuid() != 0 and _kernel() >= _COUNTS_IN_NAMESPACE:
            command.append(f"--nproc={limits.processes}")
        return (*command, "--")

    def _examine(self) -> SandboxReport:
        if self._program is None:
            return SandboxReport(name=NAME, works=False, reason=_NO_BWRAP[0], mend=_NO_BWRAP[1])
        try:
            offered = _run([self._program, "--help"])
            self._features = frozenset(offered.stdout.decode("utf-8", "replace").split())
            with Descriptors() as descriptors:
                arguments = [*self._base(descriptors), *self._own_files(descriptors), "--remount-ro", "/"]
                done = _run(
                    [self._program, "--args", descriptors.data("args", _joined(arguments)), "--", "/bin/true"],
                    descriptors.numbers(),
                )
        except (OSError, subprocess.TimeoutExpired):
            return SandboxReport(
                name=NAME,
                works=False,
                reason="bubblewrap is installed but cannot be run.",
                mend="Reinstall the package bubblewrap and start again.",
            )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = (
                f"bubblewrap cannot confine anything here: {said[-1][:200] if said else 'it ended without a word'}."
            )
            return SandboxReport(name=NAME, works=False, reason=reason, mend=_MEND_NAMESPACES)
        return SandboxReport(name=NAME, works=True, missing=tuple(self._missing()))

    def _missing(self) -> Iterator[str]:
        if self._prlimit is None:
            yield "The limit of open files does not bind: the program prlimit (util-linux) is not installed."
        if "memory" not in self._groups.bases:
            yield (
                "The memory limit binds each process of a server by itself, not all of them together nor memory that "
                "they share: this system gives us no control group for memory."
            )
        if "pids" not in self._groups.bases and (
            os.getuid() == 0 or self._prlimit is None or _kernel() < _COUNTS_IN_NAMESPACE
        ):
            yield "The limit of processes does not bind: this system gives us no control group for processes."
        if seccomp.program() is None:
            yield "System calls are not filtered: there is no filter for this kind of processor yet."


def environment(launch: Launch) -> Mapping[str, str]:
    """All variables of the confined process; what the server was given never replaces ours."""
    path = ":".join([*(str(folder) for folder in launch.runtime.path), _PATH])
    ours = {
        "PATH": path,
        "HOME": SCRATCH,
        "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "USER": "root" if os.getuid() == 0 else "user",
    }
    return {**launch.env.open(), **ours}


def _joined(arguments: list[str]) -> bytes:
    return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)


def _run(command: list[str], descriptors: tuple[int, ...] = ()) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - a program of the system, found in its own folders
        command, check=False, capture_output=True, timeout=PROBE_S, pass_fds=descriptors, env={"PATH": _PATH}
    )


def _kernel() -> tuple[int, int]:
    major, _, rest = os.uname().release.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
