"""The measurements: the programs of a run take turns within each round."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.arithmetic import Round
from tests.bench.machine import Watch
from tests.bench.program import Program

SENTENCE = "The quick brown fox reads line 42 of the build log and finds 7 warnings, none of them new. "
SMALL, MIDDLE, LARGE = 100, 10_000, 1_000_000
AT_ONCE = (1, 8, 32)
GROWTH_BYTES = 1000
GROWTH_AT_ONCE = 8
LEAST_CALLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured. A program that is slow makes fewer calls: `turn_s` and `growth_s` are what it may take."""

    rounds: int = 5
    calls: tuple[tuple[int, int], ...] = ((SMALL, 100), (MIDDLE, 60), (LARGE, 8))  # bytes, how many
    turn_s: float = 4.0
    burst_s: float = 0.5
    starts: int = 3
    rest_s: float = 2.0
    warm_calls: int = 20
    growth_calls: int = 10_000
    growth_s: float = 60.0
    questions: int = 60


BRIEF = Plan(
    rounds=1,
    calls=((SMALL, 5), (MIDDLE, 3), (LARGE, 1)),
    burst_s=0.05,
    starts=1,
    rest_s=0.0,
    warm_calls=1,
    growth_calls=100,
    questions=3,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What memory and open files became over so many calls, after as many as a tenth of the plan to warm up."""

    calls: int
    mib: float
    files: int


@dataclass
class Run:
    """What one run gave: for each program its rounds, in the same order for all."""

    rounds: dict[str, list[Round]] = field(default_factory=dict)
    growth: dict[str, Growth] = field(default_factory=dict)
    after_mib: dict[str, float] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)  # the share of the machine that others took, a round


def text_of(size: int) -> str:
    return (SENTENCE * (size // len(SENTENCE) + 1))[:size]


async def in_turn(program: Program, size: int, calls: int, bound_s: float) -> list[float]:
    """The seconds of so many calls, one after the other, or of as many as `bound_s` allows."""
    text, end, taken = text_of(size), time.monotonic() + bound_s, list[float]()
    while len(taken) < calls and (len(taken) < LEAST_CALLS or time.monotonic() < end):
        taken.append(await program.client.echo(0, text))
    return taken


async def burst(
    program: Program, at_once: int, size: int, bound_s: float, calls: int | None = None
) -> tuple[int, float]:
    """Calls by so many at once, one each at least, until the time or number is reached: how many, and the seconds."""
    text, began, begun, done = text_of(size), time.perf_counter(), 0, 0

    async def caller(line: int) -> None:
        nonlocal begun, done
        while calls is None or begun < calls:
            begun += 1
            await program.client.echo(line, text)
            done += 1
            if time.perf_counter() - began >= bound_s:
                return

    async with asyncio.TaskGroup() as group:
        for line in range(at_once):
            group.create_task(caller(line))
    return done, time.perf_counter() - began


async def start_often(program: Program, plan: Plan) -> None:
    """Start it so many times, and leave it running."""
    for turn in range(plan.starts):
        if turn:
            await program.stop()
        await program.start()
        await asyncio.sleep(plan.rest_s)
        program.at_rest_mib.append(program.cost().pss_mib)


async def rounds(programs: Sequence[Program], plan: Plan) -> Run:
    """Every round of a run, in turns; what fails is written down, and the others go on."""
    run, watch = Run(rounds={program.name: [] for program in programs}), Watch()
    for program in programs:
        with surviving(program, "the first calls"):
            for size, _ in plan.calls:
                await in_turn(program, size, plan.warm_calls if size == SMALL else 1, plan.turn_s)
            # Opens the connections that the bursts use.
            await burst(program, max(AT_ONCE), SMALL, 0)
    for number in range(plan.rounds):
        watch.share()
        # Whoever comes first in one round comes last in the next.
        ordered = list(programs) if number % 2 == 0 else list(reversed(programs))
        for name, taken in (await one_round(ordered, plan)).items():
            run.rounds[name].append(taken)
        run.others.append(watch.share())
    run.after_mib = {program.name: program.cost().pss_mib for program in programs}
    return run


async def one_round(programs: Sequence[Program], plan: Plan) -> dict[str, Round]:
    taken = {program.name: Round() for program in programs}
    for size, calls in plan.calls:
        for program in programs:
            with surviving(program, f"calls of {size} bytes"):
                taken[program.name].times_s[size] = await in_turn(program, size, calls, plan.turn_s)
    for at_once in AT_ONCE:
        for program in programs:
            with surviving(program, f"{at_once} at once"):
                await take_burst(program, at_once, plan, taken[program.name])
    return taken


async def take_burst(program: Program, at_once: int, plan: Plan, taken: Round) -> None:
    before = program.cost().cpu_s
    calls, seconds = await burst(program, at_once, SMALL, plan.burst_s)
    taken.rates[at_once] = calls / seconds
    taken.calls += calls
    taken.cpu_s += program.cost().cpu_s - before


async def grow(program: Program, plan: Plan, run: Run) -> None:
    """Many calls, after a tenth of them to warm up."""
    with surviving(program, "many calls"):
        await burst(program, GROWTH_AT_ONCE, GROWTH_BYTES, plan.growth_s / 10, plan.growth_calls // 10)
        await asyncio.sleep(plan.rest_s)
        before = program.cost()
        calls, _ = await burst(program, GROWTH_AT_ONCE, GROWTH_BYTES, plan.growth_s, plan.growth_calls)
        await asyncio.sleep(plan.rest_s)
        after = program.cost()
        mib, files = after.pss_mib - before.pss_mib, after.files - before.files
        run.growth[program.name] = Growth(calls=calls, mib=mib, files=files)
        run.after_mib[program.name] = after.pss_mib


@contextmanager
def surviving(program: Program, what: str) -> Iterator[None]:
    """Write down what a program failed at, and go on without that figure."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it fails at is what its row says
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        program.failures.setdefault(what, f"{type(first).__name__}: {first}"[:300])
