"""What is made of the figures of a run: medians of ratios within a round, so that a busy machine says less."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PERCENT = 100


@dataclass
class Round:
    """What one program did in one round. A figure that could not be taken is missing."""

    times_s: dict[int, list[float]] = field(default_factory=dict)  # size in bytes: of each call, one after the other
    rates: dict[int, float] = field(default_factory=dict)  # at once: calls a second
    calls: int = 0  # in the bursts
    cpu_s: float = 0.0  # of the gateway in the bursts


Figure = Callable[[Round], float | None]
Compare = Callable[[float, float], float]


def time_of(size: int) -> Figure:
    """The median of a round's calls of that size, in seconds."""
    return lambda taken: statistics.median(taken.times_s[size]) if taken.times_s.get(size) else None


def rate_of(at_once: int) -> Figure:
    return lambda taken: taken.rates.get(at_once)


def cpu_ms_of(taken: Round) -> float | None:
    return taken.cpu_s / taken.calls * 1000 if taken.calls else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many percent of all do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent * len(ordered) / PERCENT) - 1)] if ordered else None


def all_times_s(rounds: Sequence[Round], size: int) -> list[float]:
    return [time for taken in rounds for time in taken.times_s.get(size, [])]


def median_of(rounds: Sequence[Round], figure: Figure) -> float | None:
    values = [value for taken in rounds if (value := figure(taken)) is not None]
    return statistics.median(values) if values else None


def median_within(
    rounds: Sequence[Round], others: Sequence[Round], figure: Figure, compare: Compare = lambda one, other: one / other
) -> float | None:
    """The median of how a figure compares to that of another program in the same round."""
    pairs = [(figure(one), figure(other)) for one, other in zip(rounds, others, strict=True)]
    values = [compare(one, other) for one, other in pairs if one is not None and other]
    return statistics.median(values) if values else None
