"""Nobody is asked in a way that the client did not declare, whichever eras meet."""

import pytest

from tests.gateway.behind import raw_server
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.questions import refusal_of

FORM_ONLY: list[JsonObject] = [{"elicitation": {}}, {"elicitation": {"form": {}}}]
LINK: JsonObject = {"mode": "url", "url": "https://example.invalid/pay", "message": "Pay"}


@pytest.mark.attack("T8")
@pytest.mark.parametrize("able", FORM_ONLY)
async def test_a_modern_server_does_not_send_a_client_of_forms_to_an_address(able: JsonObject) -> None:
    behind = raw_server("modern-linking")
    await behind.approve()
    with pytest.raises(Denial) as refused:
        await behind.send(client_capabilities=able)
    assert refused.value.code is Code.SERVER_UNAVAILABLE
    assert "did not declare" in refused.value.reason
    assert behind.person.asked == []
    await behind.close()


@pytest.mark.attack("T8")
@pytest.mark.parametrize("able", FORM_ONLY)
@pytest.mark.parametrize("era", list(Era))
async def test_an_older_server_does_not_send_a_client_of_forms_to_an_address(able: JsonObject, era: Era) -> None:
    behind = raw_server("linking")
    await behind.approve()
    result = await behind.send(client_capabilities=able, era=era)
    assert result["person"]["code"] == -32602
    assert behind.person.asked == []
    await behind.close()


async def test_a_client_that_declared_addresses_is_asked() -> None:
    behind = raw_server("modern-linking")
    await behind.approve()
    await behind.send(client_capabilities={"elicitation": {"url": {}}})
    assert [call.params["url"] for call in behind.person.asked] == [LINK["url"]]
    await behind.close()


@pytest.mark.parametrize(
    ("method", "params", "able", "code"),
    [
        ("elicitation/create", LINK, {}, -32601),
        ("sampling/createMessage", {}, {"elicitation": {}}, -32601),
        ("vendor/ask", {}, {"vendor": {}}, -32601),
        ("elicitation/create", {"mode": "voice"}, {"elicitation": {"form": {}, "url": {}}}, -32602),
        ("elicitation/create", {"mode": None}, {"elicitation": {}}, -32602),
        ("elicitation/create", {}, {"elicitation": {"url": {}}}, -32602),
        ("elicitation/create", {}, {"elicitation": []}, -32602),
    ],
)
def test_what_was_not_declared_is_refused(method: str, params: JsonObject, able: JsonObject, code: int) -> None:
    refusal = refusal_of(method, params, able)
    assert refusal is not None
    assert (refusal.is_error, refusal.body["code"]) == (True, code)


@pytest.mark.parametrize(
    ("method", "params", "able"),
    [
        ("elicitation/create", {}, {"elicitation": {}}),
        ("elicitation/create", {"mode": "form"}, {"elicitation": {"form": {}}}),
        ("elicitation/create", LINK, {"elicitation": {"url": {}}}),
        ("sampling/createMessage", {}, {"sampling": {}}),
    ],
)
def test_what_was_declared_is_asked(method: str, params: JsonObject, able: JsonObject) -> None:
    assert refusal_of(method, params, able) is None
