from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from tests.gateway.behind import Behind, remote
from tests.gateway.login_site import Browser, LoginSite, login_site

Make = Callable[[str], Behind]


@pytest.fixture
async def site() -> AsyncIterator[LoginSite]:
    async with login_site() as found:
        yield found


@pytest.fixture
def browser() -> Browser:
    return Browser()


@pytest.fixture
async def behind(site: LoginSite, browser: Browser) -> AsyncIterator[Behind]:
    """A gateway before the site, which was approved while it was open to all."""
    async with AsyncExitStack() as stack:
        gateway = remote(site.site.url, result_bytes=100_000, call_s=3.0)
        stack.push_async_callback(gateway.close)
        gateway.page = browser
        site.open = True
        await gateway.approve()
        site.open = False
        site.site.seen.clear()
        site.paths.clear()
        yield gateway
