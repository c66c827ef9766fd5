import pytest

from tests.fakes import identified, make_call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.proof import Vetted
from ztmcp_desktop.pipeline.vet import Vet


def form(field: str) -> JsonObject:
    return {"message": "Who?", "requestedSchema": {"type": "object", "properties": {field: {"type": "string"}}}}


@pytest.mark.attack("T8")
async def test_a_question_for_a_secret_is_kept_from_the_client() -> None:
    call = identified(make_call(method="elicitation/create", params=form("password")))
    with pytest.raises(Denial) as refused:
        await Vet()(call)
    assert refused.value.code is Code.BLOCKED_CONTENT


async def test_an_ordinary_question_passes() -> None:
    call = await Vet()(identified(make_call(method="elicitation/create", params=form("colour"))))
    assert call.proof(Vetted) == Vetted()


async def test_what_is_not_identified_is_not_vetted() -> None:
    with pytest.raises(Denial) as refused:
        await Vet()(make_call(method="elicitation/create", params=form("colour")))
    assert refused.value.code is Code.GATEWAY_FAULT
