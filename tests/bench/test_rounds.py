from dataclasses import replace
from itertools import groupby

from tests.bench.client import Client, Timed
from tests.bench.machine import Cost
from tests.bench.program import Program
from tests.bench.rounds import AT_ONCE, BRIEF, LARGE, SMALL, Run, burst, grow, rounds, start_often
from tests.bench.table import failures, growth


class Echo(Client):
    """Answers at once, but for texts that are too long for it; writes down who was called."""

    def __init__(self, name: str, seen: list[str], longest: int) -> None:
        self.name, self.seen, self.longest = name, seen, longest

    async def echo(self, line: int, text: str) -> float:
        self.seen.append(self.name)
        if len(text) > self.longest:
            raise ValueError("too | long\nfor me")
        return 0.001 * (line + 1)

    async def exchange(self, line: int, method: str, name: str, number: int, body: bytes) -> Timed:
        raise AssertionError("nothing is sent")

    async def say_initialized(self) -> None: ...
    async def close(self) -> None: ...


class Paper(Program):
    """A program without a process: its memory and its files grow with each call."""

    def __init__(self, name: str, seen: list[str], longest: int = LARGE) -> None:
        super().__init__(name, "bare")
        self._echo = Echo(name, seen, longest)
        self.stops = 0

    async def _begin(self) -> Client:
        return self._echo

    async def _end(self) -> None:
        self.stops += 1

    def cost(self) -> Cost:
        calls = self._echo.seen.count(self.name)
        return Cost(cpu_s=calls / 1000, pss_mib=50 + calls / 1000, files=calls // 10)


async def started(*programs: Paper) -> list[Paper]:
    for program in programs:
        await program.start()
    return list(programs)


async def test_who_is_first_in_one_round_is_last_in_the_next() -> None:
    seen: list[str] = []
    programs = await started(Paper("bare", seen), Paper("gateway", seen))
    await rounds(programs, replace(BRIEF, rounds=2, burst_s=0))
    slices = len(BRIEF.calls) + len(AT_ONCE)
    # Whoever is last in the first round begins the second, so that these two turns are one.
    expected = ["bare", "gateway"] * (1 + slices) + ["bare"] + ["gateway", "bare"] * (slices - 1)
    assert [name for name, _ in groupby(seen)] == expected


async def test_what_one_program_fails_at_is_said_and_all_else_is_measured() -> None:
    seen: list[str] = []
    bare, weak = await started(Paper("bare", seen), Paper("weak", seen, longest=SMALL))
    run = await rounds([bare, weak], BRIEF)
    assert set(run.rounds["bare"][0].times_s) == {size for size, _ in BRIEF.calls}
    assert set(run.rounds["weak"][0].times_s) == {SMALL}
    assert set(run.rounds["weak"][0].rates) == set(AT_ONCE)
    assert "- weak, calls of 1000000 bytes: ValueError: too / long for me" in failures([bare, weak])
    assert bare.failures == {}


async def test_each_of_so_many_at_once_calls_at_least_once_and_the_number_is_kept() -> None:
    seen: list[str] = []
    (program,) = await started(Paper("bare", seen))
    assert (await burst(program, 32, SMALL, 0))[0] == 32
    assert (await burst(program, 8, SMALL, 60, 100))[0] == 100
    assert len(seen) == 132


async def test_growth_is_what_came_after_the_warming_up() -> None:
    seen: list[str] = []
    (program,) = await started(Paper("gateway", seen))
    plan, run = replace(BRIEF, growth_calls=1000), Run()
    await grow(program, plan, run)
    assert len(seen) == 1100
    assert growth(run, program, plan) == "+1.0 (+100)"
    assert growth(run, program, replace(plan, growth_calls=10_000)) == "+1.0 (+100) in 1,000"
    assert run.after_mib["gateway"] == 51.1


async def test_it_is_started_as_often_as_planned_and_left_running() -> None:
    program = Paper("gateway", [])
    await start_often(program, replace(BRIEF, starts=3))
    assert (len(program.starts_s), len(program.at_rest_mib), program.stops) == (3, 3, 2)
    assert program.client is program._echo
