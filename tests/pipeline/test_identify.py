"""Stage 2."""

from dataclasses import dataclass, field

import pytest

from tests.fakes import make_call, make_pin
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.offer import ItemKind, Pin
from ztmcp_desktop.domain.proof import Authenticated, Identified
from ztmcp_desktop.pipeline.identify import MAX_SUBJECT_CHARS, Identify


@dataclass
class AnyCatalogue:
    """Has approved whatever is asked for."""

    asked: list[tuple[ItemKind | None, str]] = field(default_factory=list)

    def identify(self, server: ServerName, kind: ItemKind | None, subject: str) -> Pin:
        self.asked.append((kind, subject))
        return make_pin({"name": subject}, kind=kind)


def authenticated(call: Call) -> Call:
    return call.proved(Authenticated(client=call.principal.client, server=call.server))


async def test_without_a_proof_of_the_client_nothing_is_looked_up() -> None:
    catalogue = AnyCatalogue()
    with pytest.raises(Denial) as refused:
        await Identify(catalogue)(make_call())  # type: ignore[arg-type]
    assert refused.value.code is Code.GATEWAY_FAULT
    assert catalogue.asked == []


@pytest.mark.attack("N5")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": ["delete_all"], "arguments": {}}),
        ("tools/call", {"name": 7}),
        ("tools/call", {"name": None}),
        ("tools/call", {}),
        ("prompts/get", {"name": {"x": 1}}),
        ("resources/read", {"uri": 1}),
        ("resources/subscribe", {}),
    ],
)
async def test_a_name_that_is_no_text_is_not_taken_for_the_methods_name(method: str, params: JsonObject) -> None:
    catalogue = AnyCatalogue()
    with pytest.raises(Denial) as refused:
        await Identify(catalogue)(authenticated(make_call(method=method, params=params)))  # type: ignore[arg-type]
    assert refused.value.code is Code.SCHEMA_MISMATCH
    assert catalogue.asked == []


@pytest.mark.attack("N8")
async def test_a_name_that_no_person_could_read_is_refused() -> None:
    catalogue = AnyCatalogue()
    call = authenticated(make_call(method="resources/read", params={"uri": "x" * (MAX_SUBJECT_CHARS + 1)}))
    with pytest.raises(Denial) as refused:
        await Identify(catalogue)(call)  # type: ignore[arg-type]
    assert refused.value.code is Code.TOO_LARGE
    assert len(refused.value.reason) < 200
    assert catalogue.asked == []


async def test_the_target_is_frozen_as_it_was_approved() -> None:
    call = await Identify(AnyCatalogue())(authenticated(make_call("read_file")))  # type: ignore[arg-type]
    assert call.proof(Identified).subject == call.proof(Identified).pin.name == "read_file"


async def test_a_method_without_a_subject_is_the_servers_own() -> None:
    catalogue = AnyCatalogue()
    await Identify(catalogue)(authenticated(make_call(method="vendor/x", params={})))  # type: ignore[arg-type]
    assert catalogue.asked == [(None, "vendor/x")]
