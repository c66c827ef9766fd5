"""The way back to the client."""

from dataclasses import replace

import pytest

from tests.fakes import SilentChannel, make_call
from tests.pipeline.conftest import FakeServers
from ztmcp_desktop.domain.call import Call, Direction, Outbound, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.proof import Injected
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.back_channel import WithMaskedChannel
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.reverse import Reverse
from ztmcp_desktop.pipeline.surrogates import Surrogates

SECRET = "s3cr3t-value-of-the-tests"
FILES = Server(name=ServerName("files"), endpoint=LocalCommand(argv=("x",)))


class PlayedGate:
    def __init__(self, refusal: Denial | None = None) -> None:
        self.refusal = refusal
        self.seen: list[Call] = []

    async def run(self, call: Call) -> Reply:
        self.seen.append(call)
        if self.refusal is not None:
            raise self.refusal
        return Reply(body={"action": "accept"})


async def turned_round(params: JsonObject) -> Call:
    call = replace(make_call(), outbound=Sealed(Outbound(params={}, secrets={"TOKEN": SECRET})))
    call = await WithMaskedChannel(Masker(Surrogates()), FakeServers(FILES))(
        call.proved(Injected(names=(SecretName("TOKEN"),)))
    )
    return replace(
        call, method="elicitation/create", params=params, direction=Direction.TO_CLIENT, outbound=None, proofs=()
    )


def bound(gate: PlayedGate) -> Reverse:
    reverse = Reverse()
    reverse.bind(gate)  # type: ignore[arg-type]
    return reverse


async def test_before_there_is_a_gate_a_server_is_refused() -> None:
    reply = await Reverse().ask_client(await turned_round({}))
    assert reply.is_error
    assert reply.body["data"]["code"] == Code.GATEWAY_FAULT.value


@pytest.mark.parametrize("what", ["direction", "channel"])
async def test_what_has_no_masked_way_to_a_client_does_not_reach_the_gate(what: str) -> None:
    gate, call = PlayedGate(), await turned_round({})
    broken = (
        replace(call, direction=Direction.TO_SERVER) if what == "direction" else replace(call, channel=SilentChannel())
    )
    assert (await bound(gate).ask_client(broken)).is_error
    assert gate.seen == []


@pytest.mark.attack("P5", "P11")
async def test_neither_a_secret_nor_personal_data_of_the_question_reaches_the_gate_and_so_the_ledger() -> None:
    gate = PlayedGate()
    call = await turned_round({"message": f"Is {SECRET} of ada@example.org right?"})
    await bound(gate).ask_client(call)
    assert gate.seen[0].params == {"message": "Is {{secret:TOKEN}} of <EMAIL_1> right?"}


async def test_a_refusal_is_an_error_reply_with_its_code() -> None:
    call = await turned_round({})
    reply = await bound(PlayedGate(Denial(Code.REFUSED_BY_RULE, "a rule forbids it"))).ask_client(call)
    assert reply.is_error
    assert reply.body["data"] == {"code": "refused-by-rule", "call": call.id}


async def test_the_clients_answer_goes_back_to_the_server() -> None:
    assert await bound(PlayedGate()).ask_client(await turned_round({})) == Reply(body={"action": "accept"})
