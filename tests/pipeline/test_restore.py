"""Stage 3."""

import pytest

from tests.fakes import identified, make_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ServerName, SessionId
from ztmcp_desktop.domain.proof import Restored
from ztmcp_desktop.pipeline.restore import Restore
from ztmcp_desktop.pipeline.schema import Schemas
from ztmcp_desktop.pipeline.surrogates import Surrogates

TOOL = {
    "name": "mail",
    "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}, "additionalProperties": False},
}
VALUE = "ada@lovelace.example"


@pytest.mark.parametrize("arguments", [{"to": 7}, {"other": "x"}])
async def test_arguments_that_break_the_pinned_schema_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(Denial) as refused:
        await Restore(Surrogates(), Schemas())(identified(make_call("mail", arguments), TOOL))
    assert refused.value.code is Code.SCHEMA_MISMATCH


async def test_arguments_that_are_no_object_are_refused() -> None:
    call = identified(make_call(params={"name": "mail", "arguments": ["x"]}), TOOL)
    with pytest.raises(Denial) as refused:
        await Restore(Surrogates(), Schemas())(call)
    assert refused.value.code is Code.SCHEMA_MISMATCH


async def test_stand_ins_are_turned_back_before_anything_is_judged() -> None:
    book = Surrogates()
    token = book.stand_in(SessionId("s1"), ServerName("files"), "EMAIL", VALUE)
    call = await Restore(book, Schemas())(identified(make_call("mail", {"to": f"<{token}>"}), TOOL))
    assert call.arguments == {"to": f"<{VALUE}>"}
    assert call.proof(Restored).kinds == (("EMAIL", 1),)


async def test_a_stand_in_of_another_server_stays_what_it_is() -> None:
    book = Surrogates()
    token = book.stand_in(SessionId("s1"), ServerName("mail"), "EMAIL", VALUE)
    call = await Restore(book, Schemas())(identified(make_call("mail", {"to": token}), TOOL))
    assert call.arguments == {"to": token}


def read_with_stand_in(book: Surrogates) -> Call:
    token = book.stand_in(SessionId("s1"), ServerName("files"), "EMAIL", VALUE)
    return identified(make_call(method="resources/read", params={"uri": f"mail://{token}"}))


@pytest.mark.attack("T2")
async def test_an_address_that_a_stand_in_makes_another_one_is_not_read_as_the_one_that_was_identified() -> None:
    book = Surrogates()
    with pytest.raises(Denial) as refused:
        await Restore(book, Schemas())(read_with_stand_in(book))
    assert refused.value.code is Code.GATEWAY_FAULT


@pytest.mark.attack("T2")
async def test_an_address_is_identified_again_when_its_stand_ins_are_turned_back() -> None:
    book, asked = Surrogates(), []

    async def identify(call: Call) -> Call:
        asked.append(call.subject)
        raise Denial(Code.CHANGED_SINCE_APPROVAL, "this resource was changed")

    with pytest.raises(Denial) as refused:
        await Restore(book, Schemas(), identify)(read_with_stand_in(book))
    assert refused.value.code is Code.CHANGED_SINCE_APPROVAL
    assert asked == [f"mail://{VALUE}"]


async def test_a_servers_state_is_given_back_as_it_was() -> None:
    book = Surrogates()
    token = book.stand_in(SessionId("s1"), ServerName("files"), "EMAIL", VALUE)
    params = {"name": "mail", "arguments": {}, "requestState": f"for {token}"}
    call = await Restore(book, Schemas())(identified(make_call(params=params), TOOL))
    assert call.params["requestState"] == f"for {VALUE}"
