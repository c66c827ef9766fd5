from dataclasses import replace

import pytest

from tests.fakes import identified, make_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.proof import Vetted
from ztmcp_desktop.pipeline.vet import Vet


def form(field: str) -> JsonObject:
    return {"message": "Who?", "requestedSchema": {"type": "object", "properties": {field: {"type": "string"}}}}


def asked(params: JsonObject, declared: JsonObject | None) -> Call:
    able: JsonObject = {} if declared is None else {"elicitation": declared}
    call = make_call(method="elicitation/create", params=params)
    return identified(replace(call, client_capabilities=able))


@pytest.mark.attack("T8")
async def test_a_question_for_a_secret_is_kept_from_the_client() -> None:
    with pytest.raises(Denial) as refused:
        await Vet()(asked(form("password"), {"form": {}}))
    assert refused.value.code is Code.BLOCKED_CONTENT


URL: JsonObject = {"mode": "url", "url": "https://example.org/pay", "message": "Pay"}


@pytest.mark.parametrize(
    ("declared", "params"),
    [({}, URL), ({"form": {}}, URL), ({"url": {}}, form("colour")), (None, form("colour")), ({}, {"mode": 7})],
)
async def test_nobody_is_asked_in_a_way_that_the_client_did_not_declare(
    declared: JsonObject | None, params: JsonObject
) -> None:
    with pytest.raises(Denial) as refused:
        await Vet()(asked(params, declared))
    assert refused.value.code is Code.BLOCKED_CONTENT
    assert "did not declare" in refused.value.reason


@pytest.mark.parametrize(("declared", "params"), [({"url": {}}, URL), ({}, form("colour")), ({}, {"mode": "form"})])
async def test_an_empty_capability_is_that_for_forms(declared: JsonObject, params: JsonObject) -> None:
    assert (await Vet()(asked(params, declared))).proof(Vetted) == Vetted()


async def test_an_ordinary_question_passes() -> None:
    call = await Vet()(asked(form("colour"), {"form": {}}))
    assert call.proof(Vetted) == Vetted()


async def test_what_is_not_identified_is_not_vetted() -> None:
    with pytest.raises(Denial) as refused:
        await Vet()(make_call(method="elicitation/create", params=form("colour")))
    assert refused.value.code is Code.GATEWAY_FAULT


@pytest.mark.attack("T10")
@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list"])
async def test_what_the_client_did_not_declare_is_not_asked_of_it(method: str) -> None:
    call = identified(make_call(method=method, params={}))
    with pytest.raises(Denial) as refused:
        await Vet()(call)
    assert refused.value.code is Code.BLOCKED_CONTENT
    able: JsonObject = {"sampling": {}, "roots": {}}
    assert (await Vet()(replace(call, client_capabilities=able))).proof(Vetted) == Vetted()
