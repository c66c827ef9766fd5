import pytest

from tests.bench.arithmetic import Round, cpu_ms_of, median_of, median_within, percentile, rate_of, time_of


def timed(*times_s: float) -> Round:
    return Round(times_s={100: list(times_s)})


def test_a_ratio_is_taken_within_a_round_and_not_of_two_medians() -> None:
    # The machine was ten times slower in the second round, for both.
    ours, bare = [timed(2), timed(30), timed(4)], [timed(1), timed(10), timed(4)]
    assert median_within(ours, bare, time_of(100)) == 2
    assert median_of(ours, time_of(100)) == 4


def test_what_is_added_is_taken_within_a_round_too() -> None:
    ours, bare = [timed(2), timed(30), timed(4)], [timed(1), timed(10), timed(4)]
    assert median_within(ours, bare, time_of(100), lambda one, other: one - other) == 1


def test_a_round_without_the_figure_is_left_out_and_with_none_there_is_no_median() -> None:
    ours, bare = [Round(), timed(3), Round()], [timed(1), timed(1), Round()]
    assert median_within(ours, bare, time_of(100)) == 3
    assert median_within(ours, bare, rate_of(8)) is None
    assert median_within([], [], time_of(100)) is None


def test_a_rate_of_nothing_is_no_divisor() -> None:
    assert median_within([Round(rates={8: 5.0})], [Round(rates={8: 0.0})], rate_of(8)) is None


def test_rounds_that_do_not_belong_together_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        median_within([timed(1)], [timed(1), timed(2)], time_of(100))


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (1, 1), (0, 1), (99.5, 100)]
)
def test_a_percentile_is_a_value_that_occurred(percent: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_a_percentile_of_few_is_the_largest_and_of_none_is_none() -> None:
    assert percentile([3, 1, 2], 99) == 3
    assert percentile([], 99) is None


def test_the_cost_of_a_call_is_over_the_calls_that_were_made() -> None:
    assert cpu_ms_of(Round(calls=500, cpu_s=1)) == 2
    assert cpu_ms_of(Round()) is None
