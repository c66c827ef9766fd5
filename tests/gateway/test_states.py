"""A `requestState` comes back to the server as it was, and only from the client and request that it was given to."""

from typing import Any

import pytest

from tests.gateway.behind import Behind, raw_server
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era

CALL = {"name": "echo", "arguments": {"how": "low"}}
WHO = {"who": {"action": "accept", "content": {"name": "Ada"}}}
GIVEN = "é 1"


async def ask(behind: Behind, **changes: Any) -> JsonObject:
    return await behind.send(era=Era.MODERN, client_capabilities={"elicitation": {}}, **changes)


async def first_state(behind: Behind) -> str:
    await behind.approve()
    state = (await ask(behind))["requestState"]
    assert state.endswith(f".{GIVEN}")
    return str(state)


async def test_the_server_gets_its_state_byte_by_byte() -> None:
    behind = raw_server("modern-asking")
    params = {**CALL, "inputResponses": WHO, "requestState": await first_state(behind)}
    assert (await ask(behind, params=params))["echo"]["requestState"] == GIVEN
    await behind.close()


@pytest.mark.parametrize(
    ("client", "changes"),
    [
        ("other", {}),
        ("tests", {"arguments": {"how": "loud"}}),
        ("tests", {"requestState": GIVEN}),
        ("tests", {"requestState": f"{'0' * 64}.{GIVEN}"}),
        ("tests", {"requestState": 7}),
        ("tests", {"requestState": None}),
    ],
)
async def test_a_state_from_elsewhere_does_not_reach_the_server(client: str, changes: dict[str, Any]) -> None:
    behind = raw_server("modern-asking")
    params = {**CALL, "inputResponses": WHO, "requestState": await first_state(behind), **changes}
    assert (await ask(behind, client=client, params=params))["code"] == -32602
    await behind.close()


async def test_an_altered_state_does_not_reach_the_server() -> None:
    behind = raw_server("modern-asking")
    params = {**CALL, "inputResponses": WHO, "requestState": await first_state(behind) + "0"}
    assert (await ask(behind, params=params))["code"] == -32602
    await behind.close()


async def test_a_member_of_that_name_means_nothing_in_the_older_era() -> None:
    behind = raw_server("good")
    await behind.approve()
    params = {**CALL, "requestState": "mine"}
    assert (await behind.send(params=params))["echo"] == params
    await behind.close()
