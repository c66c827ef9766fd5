import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.machine import (
    CORES,
    TICK,
    Cost,
    Stat,
    Watch,
    below,
    busy_ticks,
    cost_of,
    pss_kib,
    share_of_others,
    stat_of,
)

ROLLUP = """\
55d0-7ffe ---p 00000000 00:00 0                          [rollup]
Rss:              120000 kB
Pss_Dirty:             7 kB
Pss:              101234 kB
Pss_Anon:              8 kB
SwapPss:               9 kB
"""
BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
WAIT = "import sys; print('there', flush=True); sys.stdin.read()"


@contextmanager
def parent_of(*child: str) -> Iterator[int]:
    """A process that starts another one, which works first; both wait until they are told to end."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    command = [sys.executable, "-c", script, BURN + WAIT, *child]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process.pid
        process.stdin.close()


def test_the_share_of_memory_is_that_of_the_whole_and_of_no_part() -> None:
    assert pss_kib(ROLLUP) == 101234


def test_a_name_with_brackets_and_blanks_moves_no_field() -> None:
    numbers = " ".join(["S", "7", *["0"] * 9, "100", "20", "3", "4", "99"])
    assert stat_of(f"42 (a) b (c) {numbers}") == Stat(parent=7, cpu_s=127 / TICK)


def test_waiting_and_idling_is_not_work_and_a_guest_is_not_counted_twice() -> None:
    assert busy_ticks("cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9 9 9 9\n") == 63


def test_what_descends_from_a_process_is_found_at_any_depth() -> None:
    stats = {pid: Stat(parent=parent, cpu_s=0) for pid, parent in {1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 5}.items()}
    assert below(2, stats) == {2, 3, 4}
    assert below(99, stats) == set()


def test_others_have_what_is_left_of_the_work_and_never_less_than_nothing() -> None:
    assert share_of_others(busy_s=3 * CORES, ours_s=1 * CORES, elapsed_s=4) == pytest.approx(0.5)
    assert share_of_others(busy_s=1, ours_s=2, elapsed_s=4) == 0
    assert share_of_others(busy_s=1, ours_s=0, elapsed_s=0) == 0


def test_a_gateway_costs_what_its_processes_cost_but_not_the_server_that_it_started() -> None:
    with parent_of("a-helper") as pid:
        whole = cost_of(pid, "the-server")
        without = cost_of(pid, "a-helper")
    assert whole.cpu_s >= 0.25
    assert without.cpu_s <= whole.cpu_s - 0.25
    assert without.pss_mib < whole.pss_mib
    assert without.files < whole.files


def test_a_process_that_is_gone_costs_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert cost_of(process.pid, "nothing") == Cost()


def test_work_of_our_own_is_not_taken_for_that_of_others() -> None:
    watch = Watch()
    busy_s, ours_s, at_s = watch._look()
    subprocess.run([sys.executable, "-c", BURN], check=True)
    later = watch._look()
    assert later[1] - ours_s >= 0.25
    assert later[0] > busy_s
    assert later[2] > at_s
    assert 0 <= watch.share() <= 1
