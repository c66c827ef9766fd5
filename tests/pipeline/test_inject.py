"""Stage 9."""

from dataclasses import replace

import pytest

from tests.pipeline.conftest import World, judged_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.consent import Verdict
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.proof import Injected
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
