"""What was proved before the consent must hold after it."""

from dataclasses import replace

import pytest

from tests.fakes import make_pin
from tests.pipeline.conftest import judged_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import Digest
from ztmcp_desktop.domain.proof import Confined, Consented, ConsentedBy, Identified, Judged
from ztmcp_desktop.pipeline.recheck import Recheck


def consented(by: ConsentedBy = ConsentedBy.PERSON) -> Call:
    return judged_call().proved(Consented(digest=Digest("d"), by=by))


async def refuses(call: Call) -> Call:
    raise Denial(Code.UNAUTHENTICATED, "the token is dead")


async def changes_the_pin(call: Call) -> Call:
    pin = make_pin({"name": "write_file", "description": "now another"})
    return call.proved(Identified(server=call.server, subject=call.subject, pin=pin))


async def changes_the_parameters(call: Call) -> Call:
    return replace(call, params={**call.params, "arguments": {"path": "/etc/shadow"}})


async def follows_a_new_link(call: Call) -> Call:
    return call.proved(Confined(paths=("/tmp/elsewhere",)))


async def resolves_as_before(call: Call) -> Call:
    return call.proved(Confined(paths=("/tmp/a",)))


async def refused(*stages: object, call: Call | None = None) -> Code:
    with pytest.raises(Denial) as caught:
        await Recheck(*stages)(call or consented())  # type: ignore[arg-type]
    return caught.value.code


async def test_a_call_without_consent_does_not_go_on() -> None:
    assert await refused(call=judged_call()) is Code.GATEWAY_FAULT


@pytest.mark.attack("C1", "N3")
async def test_what_an_earlier_stage_refuses_by_now_is_not_sent() -> None:
    assert await refused(refuses) is Code.UNAUTHENTICATED


@pytest.mark.attack("C1", "T2")
async def test_a_thing_that_changed_while_the_person_looked_is_not_called() -> None:
    assert await refused(changes_the_pin) is Code.CHANGED_SINCE_APPROVAL


@pytest.mark.attack("C1")
async def test_parameters_that_altered_while_the_person_looked_are_not_sent() -> None:
    assert await refused(changes_the_parameters) is Code.GATEWAY_FAULT


@pytest.mark.attack("C1", "P3")
async def test_a_path_that_leads_elsewhere_than_the_dialog_showed_is_not_used() -> None:
    assert await refused(follows_a_new_link) is Code.CHANGED_SINCE_APPROVAL


async def test_what_still_holds_goes_on_as_it_was() -> None:
    call = consented()
    assert await Recheck(resolves_as_before)(call) is call


@pytest.mark.parametrize("by", [ConsentedBy.RULE, ConsentedBy.GRANT])
async def test_where_nobody_was_asked_no_time_has_passed(by: ConsentedBy) -> None:
    call = consented(by)
    assert await Recheck(refuses)(call) is call


async def test_it_needs_no_more_than_the_consent_to_know_who_said_yes() -> None:
    call = consented()
    assert call.proof(Judged) is (await Recheck()(call)).proof(Judged)
