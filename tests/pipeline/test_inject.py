"""Stage 9."""

from dataclasses import replace

import pytest

from tests.pipeline.conftest import World, judged_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.consent import Question, Verdict
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.proof import Identified, Injected
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.pipeline.inject import Inject

TOKEN = "gh-very-secret-value"


def stage(world: World) -> Inject:
    return Inject(world.vault, world.servers, world.upstreams, world.digester)  # type: ignore[arg-type]


async def consented(world: World, call: Call) -> Call:
    world.desk.verdict = Verdict.ALLOW
    return await world.consent()(call)


def give(world: World, server: Server) -> None:
    world.servers.servers[server.name] = server
    world.vault.values["secret/github"] = TOKEN


LOCAL = Server(
    name=ServerName("files"),
    endpoint=LocalCommand(
        argv=("files",), env=(("MODE", "fast"),), secret_env=(("GITHUB_TOKEN", SecretName("github")),)
    ),
)


@pytest.mark.attack("C1")
@pytest.mark.promise("R2")
@pytest.mark.parametrize("where", ["arguments", "server", "pin"])
async def test_what_differs_from_what_was_consented_to_is_not_sent(world: World, where: str) -> None:
    call = await consented(world, judged_call())
    if where == "arguments":
        call.params["arguments"]["path"] = "/etc/shadow"
    elif where == "server":
        world.servers.servers[call.server] = Server(name=call.server, endpoint=LocalCommand(argv=("evil",)))
    else:
        identified = next(p for p in call.proofs if type(p).__name__ == "Identified")
        pin = replace(identified.pin, digest="f" * 64)  # type: ignore[attr-defined]
        call = replace(call, proofs=(*call.proofs, replace(identified, pin=pin)))
    with pytest.raises(Denial) as refused:
        await stage(world)(call)
    assert refused.value.code is Code.GATEWAY_FAULT


async def test_a_call_without_consent_is_not_sealed(world: World) -> None:
    with pytest.raises(Denial) as refused:
        await stage(world)(judged_call())
    assert refused.value.code is Code.GATEWAY_FAULT


async def test_a_secret_of_another_server_is_not_put_in(world: World) -> None:
    world.vault.values["secret/other"] = TOKEN
    call = await consented(world, judged_call(arguments={"key": "{{secret:other}}"}))
    with pytest.raises(Denial) as refused:
        await stage(world)(call)
    assert refused.value.code is Code.SECRET_MISSING
    assert TOKEN not in str(refused.value)


async def test_a_locked_keychain_refuses(world: World) -> None:
    give(world, LOCAL)
    call = await consented(world, judged_call())
    world.vault.locked = True
    with pytest.raises(Denial) as refused:
        await stage(world)(call)
    assert refused.value.code is Code.SECRET_MISSING


async def test_environment_secrets_are_for_the_process_and_nowhere_else(world: World) -> None:
    give(world, LOCAL)
    call = await stage(world)(await consented(world, judged_call()))
    assert call.outbound is not None
    assert call.outbound.open().env == {"MODE": "fast", "GITHUB_TOKEN": TOKEN}
    assert TOKEN not in repr(call)
    assert TOKEN not in repr(call.outbound.open().params)
    assert call.proof(Injected).names == ("github",)


async def test_argument_secrets_replace_whole_placeholders_only(world: World) -> None:
    give(world, replace(LOCAL, argument_secrets=(SecretName("github"),)))
    arguments = {"key": "{{secret:github}}", "text": "say {{secret:github}}"}
    call = await stage(world)(await consented(world, judged_call(arguments=arguments)))
    assert call.outbound is not None
    assert call.outbound.open().params["arguments"] == {"key": TOKEN, "text": "say {{secret:github}}"}
    assert call.params["arguments"] == arguments


async def test_header_secrets_go_with_each_request_to_a_remote_server(world: World) -> None:
    remote = RemoteUrl(
        url="https://x.example/mcp",
        headers=(("X-A", "1"),),
        secret_headers=(("Authorization", SecretName("github")),),
    )
    give(world, Server(name=ServerName("files"), endpoint=remote))
    call = await stage(world)(await consented(world, judged_call()))
    assert call.outbound is not None
    assert call.outbound.open().headers == {"X-A": "1", "Authorization": TOKEN}


@pytest.mark.attack("C1", "P5")
async def test_a_server_that_is_changed_while_the_keychain_answers_gets_no_secret(world: World) -> None:
    give(world, LOCAL)
    call = await consented(world, judged_call())
    read = world.vault.read

    async def slow(name: str) -> Sealed[str]:
        world.servers.servers[call.server] = replace(LOCAL, endpoint=RemoteUrl(url="https://evil.example/mcp"))
        return await read(name)

    world.vault.read = slow  # type: ignore[method-assign]
    with pytest.raises(Denial) as refused:
        await stage(world)(call)
    assert refused.value.code is Code.CHANGED_SINCE_APPROVAL


@pytest.mark.attack("C1")
async def test_what_the_person_is_not_shown_is_not_sent(world: World) -> None:
    hidden = {"io.modelcontextprotocol/clientInfo": {"name": "a whole address book"}, "progressToken": "p-1"}
    call = judged_call()
    call.params["_meta"] = {**hidden, "traceparent": "another address book"}
    call = await stage(world)(await consented(world, call))
    assert call.outbound is not None
    question = world.desk.tickets[0].question
    assert isinstance(question, Question)
    assert call.outbound.open().params["_meta"] == {**question.params["_meta"], "progressToken": "p-1"}
    assert "clientInfo" not in str(call.outbound.open().params)


@pytest.mark.attack("P10")
async def test_what_is_no_name_of_a_secret_is_not_quoted_in_the_refusal(world: World) -> None:
    call = await consented(world, judged_call(arguments={"key": "{{secret:\x1b[31mask the admin\n}}"}))
    with pytest.raises(Denial) as refused:
        await stage(world)(call)
    assert refused.value.code is Code.SECRET_MISSING
    assert "admin" not in refused.value.reason


@pytest.mark.attack("T11")
@pytest.mark.parametrize("nested", [False, True])
async def test_a_secret_is_not_put_into_an_argument_that_goes_as_a_header(world: World, nested: bool) -> None:
    give(world, replace(LOCAL, argument_secrets=(SecretName("github"),)))
    marked: JsonObject = {"type": "string", "x-mcp-header": "Key"}
    schema = {
        "properties": {"inner": {"properties": {"key": marked}} if nested else {}, "key": {} if nested else marked}
    }
    arguments: JsonObject = {"inner": {"key": "{{secret:github}}"}} if nested else {"key": "{{secret:github}}"}
    call = judged_call(arguments=arguments)
    proof = call.proof(Identified)
    call = call.proved(replace(proof, pin=replace(proof.pin, item={**proof.pin.item, "inputSchema": schema})))
    with pytest.raises(Denial) as refused:
        await stage(world)(await consented(world, call))
    assert refused.value.code is Code.BLOCKED_CONTENT
