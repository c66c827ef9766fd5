"""Tables of figures in Markdown."""

from collections.abc import Sequence
from statistics import median

from tests.bench.arithmetic import (
    Figure,
    Round,
    all_times_s,
    cpu_ms_of,
    median_of,
    median_within,
    percentile,
    rate_of,
    time_of,
)
from tests.bench.program import Program
from tests.bench.rounds import AT_ONCE, LARGE, MIDDLE, SMALL, Plan, Run

SIZES = {SMALL: "100 B", MIDDLE: "10 KB", LARGE: "1 MB"}
NONE = "–"
P99 = 99
MAX_WHY_CHARS = 200
COLUMNS = (
    *("× time 100 B", "× 10 KB", "× 1 MB"),
    *("× calls/s, 1 at once", "× 8", "× 32"),
    *("added, ms", "p99, ms", "CPU ms a call", "start, s", "MiB at rest / after"),
    "MiB (files) grown",
)


def cell(value: float | None, form: str = ".2f") -> str:
    return NONE if value is None else format(value, form)


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The first column is words, the others are figures."""
    head = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)])


def ms(value: float | None) -> float | None:
    return None if value is None else value * 1000


def absolute(name: str, rounds: Sequence[Round]) -> list[str]:
    """What a server does without a gateway: milliseconds and calls a second, where a gateway has ratios."""
    times = [f"{cell(ms(median_of(rounds, time_of(size))))} ms" for size in SIZES]
    rates = [f"{cell(median_of(rounds, rate_of(count)), ',.0f')}/s" for count in AT_ONCE]
    return [name, *times, *rates, NONE, p99(rounds), *[NONE] * 4]


def p99(rounds: Sequence[Round]) -> str:
    """Over the calls of all rounds, which are too few in one."""
    return cell(ms(percentile(all_times_s(rounds, SMALL), P99)), ".1f")


def added(run: Run, program: Program) -> float | None:
    within = run.rounds[program.name], run.rounds[program.reference]
    return ms(median_within(*within, time_of(SMALL), lambda one, other: one - other))


def against(run: Run, name: str, other: str, figures: Sequence[Figure]) -> list[str]:
    return [cell(median_within(run.rounds[name], run.rounds[other], figure)) for figure in figures]


def relative(run: Run, program: Program, plan: Plan) -> list[str]:
    """A gateway's line, against its reference."""
    figures = [*(time_of(size) for size in SIZES), *(rate_of(count) for count in AT_ONCE)]
    return [
        program.name,
        *against(run, program.name, program.reference, figures),
        cell(added(run, program)),
        p99(run.rounds[program.name]),
        cell(median_of(run.rounds[program.name], cpu_ms_of)),
        cell(median(program.starts_s), ".1f"),
        f"{cell(median(program.at_rest_mib), '.0f')} / {cell(run.after_mib.get(program.name), '.0f')}",
        growth(run, program, plan),
    ]


def growth(run: Run, program: Program, plan: Plan) -> str:
    """Over the plan's calls, or over those that it says."""
    grown = run.growth.get(program.name)
    if grown is None:
        return NONE
    fewer = f" in {grown.calls:,}" if grown.calls < plan.growth_calls else ""
    return f"{grown.mib:+.1f} ({grown.files:+d}){fewer}"


def failures(programs: Sequence[Program]) -> list[str]:
    return [f"- {each.name}, {what}: {in_a_cell(why)}" for each in programs for what, why in each.failures.items()]


def machine(run: Sequence[Run]) -> str:
    """What a reader needs to know of the machine to believe the figures, or not to."""
    shares = [share for each in run for share in each.others]
    if not shares:
        return ""
    return f"Other work took {median(shares):.0%} of the machine in the median round, {max(shares):.0%} in the worst."


def failed(name: str, columns: Sequence[str], why: str) -> list[str]:
    """The line of a gateway that could not be measured at all."""
    return [f"{name}: {in_a_cell(why)}", *[NONE] * (len(columns) - 1)]


def in_a_cell(text: str) -> str:
    """On one line, without what ends a cell, and not longer than anybody reads."""
    return " ".join(text.replace("|", "/").split())[:MAX_WHY_CHARS]
