"""What the window costs: its first painting, its memory, and how soon a question is on the screen."""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.arithmetic import percentile
from tests.bench.client import HttpClient
from tests.bench.direct import HttpServer
from tests.bench.eras import Era
from tests.bench.machine import Watch
from tests.bench.ours import Kind, furnish
from tests.bench.program import FAST, cost_without_server
from tests.bench.rounds import Plan
from tests.bench.table import cell, ms, table
from tests.journeys.screen import press, wait_for_dialog, wait_for_no_dialog
from tests.journeys.stage import Stage, denied, stage_in, until

HOOK = Path(__file__).with_name("painted.py")
COLUMNS = (
    *("first window, s", "MiB at rest", "request to painted dialog, ms: first", "p50", "p95"),
    "questions",
)
P95 = 95


@dataclass
class Figures:
    """Of a gateway with its window; times in seconds."""

    window_s: list[float] = field(default_factory=list)
    at_rest_mib: list[float] = field(default_factory=list)
    dialog_s: list[float] = field(default_factory=list)
    others: float = 0.0


def painted(notes: Path, kind: str, text: str) -> float | None:
    """When a window of that kind was painted with a text on it, if it was."""
    if not notes.exists():
        return None
    found: list[tuple[float, str, str]] = [json.loads(line) for line in notes.read_text().splitlines()]
    return next((at for at, name, shown in found if name == kind and text in shown), None)


def began(stage: Stage, notes: Path) -> float:
    """Start the gateway with its window; the seconds from there to the first painting."""
    notes.unlink(missing_ok=True)
    at = time.monotonic()
    stage.start(sys.executable, "-P", str(HOOK), str(notes))
    return until(lambda: painted(notes, "MainWindow", ""), 30, "no window was painted") - at


async def asked(client: HttpClient, text: str, notes: Path) -> float:
    """Call, and say no with Escape as soon as the dialog takes it; the seconds from the request to the painting."""
    at = time.monotonic()
    call = asyncio.create_task(client.ask("tools/call", {"name": "echo", "arguments": {"text": text}}))
    shown = await asyncio.to_thread(until, lambda: painted(notes, "ConsentDialog", text), 30, "no dialog was painted")
    await asyncio.to_thread(deny)
    result: dict[str, Any] = await call
    if denied(result) != "refused-by-person":
        raise RuntimeError(f"the call was not refused by the person: {result}")
    return shown - at


def deny() -> None:
    press(wait_for_dialog(), "Escape")
    wait_for_no_dialog()


async def ask_all(url: str, token: str, notes: Path, plan: Plan) -> list[float]:
    client = HttpClient(Era.HANDSHAKE, url, {"Authorization": f"Bearer {token}"})
    await client.open()
    taken = [await asked(client, f"question {number} of many", notes) for number in range(plan.questions)]
    await client.close()
    return taken


@contextmanager
def furnished(url: str) -> Iterator[tuple[Stage, str]]:
    with tempfile.TemporaryDirectory(prefix="ztmcp-bench-") as folder, stage_in(Path(folder)) as stage:
        # The journeys need what a screen reader is told; who has none does not pay for it.
        stage.environment.pop("QT_LINUX_ACCESSIBILITY_ALWAYS_ON")
        yield stage, furnish(stage, Kind.HTTP, url)


async def figures(plan: Plan) -> Figures:
    """Start the window as often as the plan says, and ask so many questions of the last."""
    taken, watch, server = Figures(), Watch(), HttpServer(Era.HANDSHAKE, FAST)
    await server.start()
    try:
        with furnished(server.url) as (stage, token):
            notes = stage.root / "painted"
            for turn in range(plan.starts):
                if turn:
                    stage.stop()
                taken.window_s.append(began(stage, notes))
                await asyncio.sleep(plan.rest_s)
                taken.at_rest_mib.append(cost_of_window(stage))
            taken.dialog_s = await ask_all(stage.endpoint("echo"), token, notes, plan)
            stage.stop()
            stage.verify()
    finally:
        await server.stop()
    taken.others = watch.share()
    return taken


def cost_of_window(stage: Stage) -> float:
    if stage.process is None:
        raise RuntimeError("the gateway is not running")
    return cost_without_server(stage.process.pid).pss_mib


def rendered(taken: Figures, command: str) -> str:
    """The table, and below it what a reader needs to know of the machine."""
    line = [
        "ztmcp with its window",
        cell(statistics.median(taken.window_s)),
        cell(statistics.median(taken.at_rest_mib), ".0f"),
        cell(ms(taken.dialog_s[0]), ".0f"),
        cell(ms(statistics.median(taken.dialog_s)), ".0f"),
        cell(ms(percentile(taken.dialog_s, P95)), ".0f"),
        str(len(taken.dialog_s)),
    ]
    where = f"{os.cpu_count()} cores, a virtual screen, median of {len(taken.window_s)} starts"
    how = f"`{command}`, {time.strftime('%Y-%m-%d', time.gmtime())}: {where}."
    busy = f"Other work, the screen's included, took {taken.others:.0%} of the machine."
    return f"{table(['window', *COLUMNS], [line])}\n\n{how} {busy}"
