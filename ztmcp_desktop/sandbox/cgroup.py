"""Control groups: limits of memory and processes that hold for a whole tree, root's too (cgroups(7), v1 and v2)."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial

_PROC = Path("/proc/self")
_MAX_STALE = 1000
_NAME = re.compile(r"ztmcp-(\d+)-\d+", re.ASCII)
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One launch's control group: a folder in each hierarchy (v2 has only one)."""

    folders: tuple[Path, ...]

    def add(self, pid: int) -> None:
        """Put a process in; its descendants follow. Raises OSError where the kernel refuses."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def remove(self) -> bool:
        """Remove the group; False while a process is left in it."""
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Where groups can be made: for each controller (`memory`, `pids`) the folder to make them in."""

    version: int
    bases: Mapping[str, Path]

    def make(self, memory_bytes: int, processes: int) -> Group:
        """An empty group with these limits, for as many of them as there are controllers.

        Raises:
            Denial: the kernel refuses (`server-unavailable`).
        """
        name = f"ztmcp-{os.getpid()}-{next(_numbers)}"
        folders = {controller: base / name for controller, base in self.bases.items()}
        group = Group(folders=tuple(dict.fromkeys(folders.values())))
        try:
            for folder in group.folders:
                folder.mkdir(mode=0o755)
            for controller, folder in folders.items():
                for file, value, optional in self._values(controller, memory_bytes, processes):
                    if (folder / file).exists() or not optional:
                        (folder / file).write_text(value)
        except OSError as error:
            group.remove()
            raise Denial(Code.SERVER_UNAVAILABLE, f"its limits cannot be set: {error.strerror}") from error
        return group

    def _values(self, controller: str, memory_bytes: int, processes: int) -> tuple[tuple[str, str, bool], ...]:
        if controller == "pids":
            return (("pids.max", str(processes), False),)
        if self.version == 1:
            return (
                ("memory.limit_in_bytes", str(memory_bytes), False),
                ("memory.memsw.limit_in_bytes", str(memory_bytes), True),
            )
        return (
            ("memory.max", str(memory_bytes), False),
            ("memory.swap.max", "0", True),
            ("memory.oom.group", "1", True),
        )

    def sweep(self) -> None:
        """Remove empty groups that an earlier run of ours left behind when it was killed."""
        for base in set(self.bases.values()):
            for number, folder in enumerate(base.glob("ztmcp-*")):
                found = _NAME.fullmatch(folder.name)
                if number >= _MAX_STALE:
                    break
                if found and not Path("/proc", found[1]).exists():
                    with suppress(OSError):
                        folder.rmdir()


def find_groups() -> Groups:
    """Where this process can make groups; `bases` is empty where it cannot."""
    try:
        mounts = (_PROC / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        own = (_PROC / "cgroup").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return Groups(version=0, bases={})
    first = _first_version(mounts, own)
    if first:
        return Groups(version=1, bases=first)
    return Groups(version=2, bases=_second_version(mounts, own))


def _mounted(mounts: str, kind: str) -> list[tuple[Path, Path, set[str]]]:
    """(root, mount point, options) of each mount of this kind, from the text of mountinfo (proc(5))."""
    found = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) > 4 and len(rest) > 2 and rest[0] == kind:  # noqa: PLR2004 - fields of proc(5)
            found.append((Path(fields[3]), Path(fields[4]), set(rest[2].split(","))))
    return found


def _inside(root: Path, point: Path, path: str) -> Path | None:
    """The folder of a group as seen through a mount, None if the mount does not show it."""
    try:
        folder = point / Path(path).relative_to(root)
    except ValueError:
        return None
    return folder if folder.is_dir() else None


def _first_version(mounts: str, own: str) -> dict[str, Path]:
    bases: dict[str, Path] = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        for controller in {"memory", "pids"} & set(names.split(",")):
            for root, point, options in _mounted(mounts, "cgroup"):
                folder = _inside(root, point, path) if controller in options else None
                if folder is not None and os.access(folder, os.W_OK):
                    bases[controller] = folder
    return bases


def _second_version(mounts: str, own: str) -> dict[str, Path]:
    """The nearest group above us that hands both controllers down, and that we may write to (delegation)."""
    paths = [line.removeprefix("0::") for line in own.splitlines() if line.startswith("0::")]
    for root, point, _ in _mounted(mounts, "cgroup2"):
        folder = _inside(root, point, paths[0]) if paths else None
        while folder is not None and (folder == point or point in folder.parents):
            try:
                handed_down = set((folder / "cgroup.subtree_control").read_text().split())
            except OSError:
                break
            usable = {"memory", "pids"} & handed_down
            if usable and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
                return dict.fromkeys(sorted(usable), folder)
            folder = folder.parent
    return {}
