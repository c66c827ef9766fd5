"""What processes cost, and how busy the machine was with others, from /proc (proc(5)). Linux only."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1
PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds since their start, memory in MiB of proportional set size, and open files of some processes."""

    cpu_s: float = 0.0
    pss_mib: float = 0.0
    files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """Of one process: its parent, and its CPU seconds with those of its children that were waited for."""

    parent: int
    cpu_s: float


def stat_of(text: str) -> Stat:
    """Of the text of /proc/PID/stat. The second field is a name in brackets that may hold blanks and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(parent=int(fields[1]), cpu_s=sum(map(int, fields[11:15])) / TICK)


def pss_kib(text: str) -> int:
    """Of the text of /proc/PID/smaps_rollup: what it holds, its share of what it shares with others."""
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def busy_ticks(text: str) -> int:
    """Of the text of /proc/stat: what all processors did but idling and waiting; the hypervisor's share included."""
    fields = [int(field) for field in text.splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]


def below(root: int, stats: dict[int, Stat]) -> set[int]:
    """A process and all that descend from it."""
    found, fresh = set[int](), {root} & stats.keys()
    while fresh:
        found |= fresh
        fresh = {pid for pid, stat in stats.items() if stat.parent in fresh} - found
    return found


def all_stats() -> dict[int, Stat]:
    stats: dict[int, Stat] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # It has ended meanwhile.
                stats[int(folder.name)] = stat_of((folder / "stat").read_text())
    return stats


def cost_of(root: int, server: str) -> Cost:
    """Of a gateway's processes, without the echo server that it may have started: whose command names `server`."""
    stats = all_stats()
    cpu_s = pss_mib = files = 0.0
    for pid in below(root, stats):
        folder = PROC / str(pid)
        with suppress(OSError):
            if pid != root and server in (folder / "cmdline").read_text():
                continue
            pss_mib += pss_kib((folder / "smaps_rollup").read_text()) / 1024
            files += len(list((folder / "fd").iterdir()))
            cpu_s += stats[pid].cpu_s
    return Cost(cpu_s=cpu_s, pss_mib=pss_mib, files=round(files))


def share_of_others(busy_s: float, ours_s: float, elapsed_s: float) -> float:
    """Which part of the machine others took, of what it could have done in that time: 0 to 1."""
    return min(1.0, max(0.0, (busy_s - ours_s) / (elapsed_s * CORES))) if elapsed_s > 0 else 0.0


class Watch:
    """Tells what others took of the machine since the last time it was asked."""

    def __init__(self) -> None:
        self._last = self._look()

    @staticmethod
    def _look() -> tuple[float, float, float]:
        stats = all_stats()
        ours = sum(stats[pid].cpu_s for pid in below(os.getpid(), stats))
        return busy_ticks((PROC / "stat").read_text()) / TICK, ours, time.monotonic()

    def share(self) -> float:
        busy, ours, at = self._look()
        before, self._last = self._last, (busy, ours, at)
        return share_of_others(busy - before[0], ours - before[1], at - before[2])
