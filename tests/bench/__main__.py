"""What a call through the gateway costs, against the same server without it. See packaging/bench."""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.client import Client
from tests.journeys.stage import Stage, free_port, stage_in

ECHO = Path(__file__).with_name("echo.py")
ROUNDS = int(os.environ.get("ZTMCP_BENCH_ROUNDS", "5"))
CALLS = {100: 60, 10_000: 40, 1_000_000: 5}
AT_ONCE = (1, 8, 32)
BURST_S = 0.5
SENTENCE = "The quick brown fox reads line 42 of the build log and finds 7 warnings, none of them new. "
RULE = 'permit (principal == Client::"bench", action == Action::"call_without_asking", resource in Server::"echo");'
COLUMNS = (
    "through ztmcp, against the same server over HTTP without it",
    *("× time 100 B", "× 10 KB", "× 1 MB"),
    *("× calls/s, 1 at once", "× 8", "× 32"),
    *("added, ms", "CPU ms a call", "start, s", "MiB at rest / after"),
)
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    """Medians over the rounds are taken of ratios within a round, so that a busy machine says less."""

    times: dict[int, list[float]] = field(default_factory=dict)
    rates: dict[int, list[float]] = field(default_factory=dict)
    added_ms: list[float] = field(default_factory=list)
    calls: int = 0
    cpu_s: float = 0.0
    start_s: float = 0.0
    idle_mib: float = 0.0
    end_mib: float = 0.0


def text_of(size: int) -> str:
    return (SENTENCE * (size // len(SENTENCE) + 1))[:size]


def cpu_s(pid: int) -> float:
    """User and system time of this one process; the servers that it started are not in it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def upstream() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, str(ECHO), str(port)])
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait()


def gateway(stage: Stage, kind: str, url: str) -> str:
    """A home with the server, the rule and a client; its token. The gateway is not running yet."""
    if kind == "HTTP":
        stage.cli("server", "add", "echo", "--url", url)
    else:
        command = [sys.executable, str(ECHO), "stdio"]
        stage.cli("server", "add", "echo", "--folder", f"{ECHO.parent}:ro", "--", *command)
    stage.cli("server", "approve", "echo", "--yes")
    rule = stage.root / "bench.cedar"
    rule.write_text(RULE)
    stage.cli("rule", "add", str(rule))
    return str(stage.json("client", "add", "bench", "--server", "echo")["token"])


async def opened(url: str, token: str = "", patience_s: float = 30.0) -> Client:
    end = time.monotonic() + patience_s
    while True:
        client = Client(url, token)
        try:
            await client.open(max(AT_ONCE))
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
        else:
            return client


async def in_turn(client: Client, size: int, calls: int) -> float:
    """The median of so many calls, one after the other, in seconds."""
    text = text_of(size)
    return statistics.median([await client.echo(0, text, number) for number in range(1, calls + 1)])


async def burst(client: Client, at_once: int) -> float:
    """Calls a second with so many at once."""
    text, end, made = text_of(100), time.perf_counter() + BURST_S, 0

    async def caller(line: int) -> None:
        nonlocal made
        number = line * 1_000_000
        while time.perf_counter() < end:
            number += 1
            await client.echo(line, text, number)
            made += 1

    began = time.perf_counter()
    await asyncio.gather(*(caller(line) for line in range(at_once)))
    return made / (time.perf_counter() - began)


async def measure(direct: Client, ours: Client, pid: int, figures: Figures) -> None:
    """One round: direct and gateway by turns."""
    for size, calls in CALLS.items():
        without, through = await in_turn(direct, size, calls), await in_turn(ours, size, calls)
        figures.times.setdefault(size, []).append(through / without)
        if size == min(CALLS):
            figures.added_ms.append((through - without) * 1000)
    for at_once in AT_ONCE:
        without, before = await burst(direct, at_once), cpu_s(pid)
        through = await burst(ours, at_once)
        figures.rates.setdefault(at_once, []).append(through / without)
        figures.calls += round(through * BURST_S)
        figures.cpu_s += cpu_s(pid) - before


async def run(stage: Stage, url: str, token: str, figures: Figures) -> None:
    assert stage.process is not None
    pid = stage.process.pid
    direct, ours = await opened(url), await opened(stage.endpoint("echo"), token)
    await in_turn(ours, 100, 20)
    for _ in range(ROUNDS):
        await measure(direct, ours, pid, figures)
    figures.end_mib = pss_mib(pid)
    direct.close()
    ours.close()


def figures_of(kind: str) -> Figures:
    figures = Figures()
    with (
        tempfile.TemporaryDirectory(prefix="ztmcp-bench-") as folder,
        stage_in(Path(folder)) as stage,
        upstream() as url,
    ):
        asyncio.run(_wait(url))
        token = gateway(stage, kind, url)
        began = time.monotonic()
        stage.start(headless=True)
        assert stage.process is not None
        figures.start_s = time.monotonic() - began
        figures.idle_mib = pss_mib(stage.process.pid)
        asyncio.run(run(stage, url, token, figures))
        stage.verify()
        stage.stop()
    return figures


async def _wait(url: str) -> None:
    (await opened(url)).close()


def row(kind: str, figures: Figures) -> str:
    times = [f"{statistics.median(figures.times[size]):.1f}" for size in CALLS]
    rates = [f"{statistics.median(figures.rates[count]):.2f}" for count in AT_ONCE]
    rest = [
        f"{statistics.median(figures.added_ms):.1f}",
        f"{figures.cpu_s / max(figures.calls, 1) * 1000:.2f}",
        f"{figures.start_s:.1f}",
        f"{figures.idle_mib:.0f} / {figures.end_mib:.0f}",
    ]
    return "| " + " | ".join([f"server over {kind}", *times, *rates, *rest]) + " |"


def main() -> None:
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---|" + "---:|" * (len(COLUMNS) - 1))
    for kind in ("HTTP", "stdio"):
        print(row(kind, figures_of(kind)), flush=True)
    print(f"\nMachine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; medians of {ROUNDS} rounds.")


if __name__ == "__main__":
    main()
