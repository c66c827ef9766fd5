"""What a server says while its call runs."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import SilentChannel, make_call, turns_meanwhile
from tests.pipeline.conftest import FakeServers
from ztmcp_desktop.domain.call import Outbound
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.proof import Injected
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.back_channel import WithMaskedChannel
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.surrogates import Surrogates

SECRET = "s3cr3t-value-of-the-tests"


async def said(params: dict[str, Any], *, mask: bool = True, method: str = "notifications/message") -> str:
    call = replace(make_call("get"), outbound=Sealed(Outbound(params={}, secrets={"TOKEN": SECRET})))
    channel = SilentChannel()
    call = replace(call, channel=channel).proved(Injected(names=(SecretName("TOKEN"),)))
    server = Server(name=ServerName("files"), endpoint=LocalCommand(argv=("x",)), mask_results=mask)
    call = await WithMaskedChannel(Masker(Surrogates()), FakeServers(server))(call)
    await call.channel.notify(method, params)
    return repr(channel.seen)


async def test_without_what_inject_left_nothing_goes_on() -> None:
    with pytest.raises(Denial) as refused:
        await WithMaskedChannel(Masker(Surrogates()), FakeServers())(make_call("get"))
    assert refused.value.code is Code.GATEWAY_FAULT


@pytest.mark.attack("P11", "P5")
@pytest.mark.parametrize("mask", [True, False])
async def test_an_echo_of_a_secret_never_goes_back_in_a_notification(mask: bool) -> None:
    seen = await said({"level": "info", "data": f"token {SECRET}", "x": [SECRET.encode().hex()]}, mask=mask)
    assert SECRET not in seen
    assert SECRET.encode().hex() not in seen
    assert "{{secret:TOKEN}}" in seen


@pytest.mark.attack("P5")
async def test_a_secret_cannot_leave_as_the_token_that_names_a_request() -> None:
    assert SECRET not in await said({"progressToken": SECRET, "level": SECRET, "progress": 1})


@pytest.mark.attack("P11")
async def test_personal_data_in_a_notification_is_masked_unless_the_person_switched_that_off() -> None:
    assert "bob@example.com" not in await said({"data": "to bob@example.com"})
    assert "bob@example.com" in await said({"data": "to bob@example.com"}, mask=False)


@pytest.mark.parametrize(
    ("method", "key"), [("notifications/progress", "progressToken"), ("notifications/cancelled", "requestId")]
)
async def test_what_tells_requests_apart_stays_where_it_does(method: str, key: str) -> None:
    assert "bob@example.com" in await said({key: "bob@example.com"}, method=method)
    assert "bob@example.com" not in await said({key: "bob@example.com"})


@pytest.mark.attack("N8")
async def test_masking_a_large_notification_does_not_hold_the_loop() -> None:
    assert await turns_meanwhile(said({"level": "info", "data": "to bob@example.com " * 10_000})) > 10
