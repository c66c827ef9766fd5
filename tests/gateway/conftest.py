from collections.abc import AsyncIterator

import pytest

from tests.gateway.front import Front, front_door


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with front_door() as opened:
        yield opened
