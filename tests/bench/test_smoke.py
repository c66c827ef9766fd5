import asyncio
import sys

import pytest

from tests.bench import window
from tests.bench.eras import Era
from tests.bench.peer import Form, Gateway, Launch, Place
from tests.bench.rounds import AT_ONCE, BRIEF
from tests.bench.runs import Group, beside

pytestmark = [pytest.mark.screen, pytest.mark.timeout(120)]
ABSENT = "import sys; sys.exit('it is not installed')"


def absent(place: Place) -> Launch:
    return Launch(command=[sys.executable, "-c", ABSENT])


def everything_was_measured(group: Group) -> None:
    (taken,) = group.run.rounds[group.ours.name]
    assert set(taken.times_s) == {size for size, _ in BRIEF.calls}
    assert set(taken.rates) == set(AT_ONCE)
    assert taken.calls >= sum(AT_ONCE)
    assert taken.cpu_s > 0
    assert group.ours.failures == {}
    assert group.ours.starts_s[0] > 0
    assert group.ours.at_rest_mib[0] > 1
    assert group.run.growth[group.ours.name].calls == BRIEF.growth_calls


async def test_a_short_round_measures_everything_of_ours_where_another_gateway_is_not_there() -> None:
    gateway = Gateway(name="absent", checks="none", folder="absent", form=Form.HTTP_TO_PIPES, launch=absent)
    group = await beside(Era.STATELESS, gateway, BRIEF, [])
    everything_was_measured(group)
    assert "it is not installed" in group.why_not


def test_the_window_is_seen_to_be_painted_and_each_question_is_denied() -> None:
    taken = asyncio.run(window.figures(BRIEF))
    assert 0 < taken.window_s[0] < 30
    assert len(taken.dialog_s) == BRIEF.questions
    assert all(0 < each < 10 for each in taken.dialog_s)
