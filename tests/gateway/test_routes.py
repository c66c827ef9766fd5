"""Every address of the gateway, with every token that is not good for it, in both eras (issue 4, Show 5)."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.front import Front, Response, modern, modern_headers, request, rpc, tool_call
from tests.gateway.oauth.kit import CALL, READ, OAuthClient
from ztmcp_desktop.domain.client import Right
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.routes import Guard

MISSING, INVALID = "missing", "invalid"


@dataclass(frozen=True)
class Bad:
    """A token that is not good, and what the challenge has to say of it."""

    token: str | None
    challenge: str
    good: str = ""


async def missing(front: Front) -> Bad:
    return Bad(None, MISSING)


async def garbage(front: Front) -> Bad:
    return Bad("ztmcp_at_" + "A" * 43, INVALID)


async def of_another_issuer(front: Front) -> Bad:
    # A signed web token, as another authorization server would give.
    return Bad("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.", INVALID)


async def static_dead(front: Front) -> Bad:
    token = front.token("other")
    front.clock.seconds += 3601
    return Bad(token, INVALID)


async def static_for_another_server(front: Front) -> Bad:
    return Bad(front.token("mailer", "mail"), INVALID)


async def static_revoked(front: Front) -> Bad:
    token = front.token("gone")
    front.clients.revoke(ClientName("gone"))
    return Bad(token, INVALID)


async def login_dead(front: Front) -> Bad:
    token = (await OAuthClient(front).log_in())["access_token"]
    front.clock.seconds += 601
    return Bad(token, INVALID)


async def login_for_another_server(front: Front) -> Bad:
    client = OAuthClient(front)
    front.pairing.open(60)
    await client.register()
    answer = await client.answer(resource=front.url("mail"), scope="server:mail:read server:mail:call")
    token = (await client.exchange(answer["code"], resource=front.url("mail"))).json
    return Bad(token["access_token"], INVALID)


async def login_revoked(front: Front) -> Bad:
    client = OAuthClient(front)
    token = (await client.log_in())["access_token"]
    await client.form("/revoke", token=token, client_id=client.id)
    return Bad(token, INVALID)


async def login_of_a_revoked_client(front: Front) -> Bad:
    token = (await OAuthClient(front).log_in())["access_token"]
    front.clients.revoke(ClientName("logged-in"))
    return Bad(token, INVALID)


async def a_refresh_token(front: Front) -> Bad:
    return Bad((await OAuthClient(front).log_in())["refresh_token"], INVALID)


BAD: dict[str, Callable[[Front], Awaitable[Bad]]] = {
    made.__name__: made
    for made in (
        missing,
        garbage,
        of_another_issuer,
        static_dead,
        static_for_another_server,
        static_revoked,
        login_dead,
        login_for_another_server,
        login_revoked,
        login_of_a_revoked_client,
        a_refresh_token,
    )
}

# Each way to reach an address that wants a token: method, headers, body.
Way = tuple[str, dict[str, str], Any]
GUARDED: dict[str, dict[str, Way]] = {
    "mcp": {
        "legacy-post": ("POST", {}, tool_call()),
        "legacy-initialize": ("POST", {}, rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})),
        "legacy-get": ("GET", {"Accept": "text/event-stream", "Mcp-Session-Id": "x"}, None),
        "legacy-delete": ("DELETE", {"Mcp-Session-Id": "x"}, None),
        "modern-post": ("POST", {k.replace("_", "-"): v for k, v in modern_headers().items()}, modern(tool_call())),
        "modern-get": ("GET", {"MCP-Protocol-Version": "2026-07-28"}, None),
        "modern-delete": ("DELETE", {"MCP-Protocol-Version": "2026-07-28"}, None),
        "other-method": ("PUT", {}, None),
    }
}


async def reach(front: Front, way: Way, token: str | None) -> Response:
    method, extra, message = way
    headers = {
        "Host": f"127.0.0.1:{front.port}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **extra,
    }
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = b"" if message is None else json.dumps(message).encode()
    return await front.raw(request(body, headers, method=method))


@pytest.mark.attack("N3", "O4")
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("way", GUARDED["mcp"])
async def test_no_bad_token_gets_past_an_address_that_wants_one(front: Front, way: str, bad: str) -> None:
    made = await BAD[bad](front)
    rejected = len(front.causes)

    answer = await reach(front, GUARDED["mcp"][way], made.token)

    assert answer.status == 401
    challenge = answer.header("www-authenticate") or ""
    where = f"http://127.0.0.1:{front.port}/.well-known/oauth-protected-resource/s/files/mcp"
    error = 'error="invalid_token", ' if made.challenge == INVALID else ""
    assert challenge == f'Bearer {error}resource_metadata="{where}", scope="{READ}"'
    assert front.causes[rejected:] == ["token"]
    assert front.gate.seen == []


# Addresses that want no token: how each is held to what it wants instead, or why it may be seen by all.
OTHERWISE = {
    "health": "says only that it is alive: test_endpoint.py",
    "resource-metadata": "the same for every name, there or not: test_metadata.py",
    "root-metadata": "names no server: test_metadata.py",
    "server-metadata": "names no server and no client: test_metadata.py",
    "authorize": "the person, asked natively: test_authorize.py",
    "wait": "a ticket that only the browser has: test_authorize.py",
    "token": "a code or a refresh token: test_token.py",
    "register": "pairing, which the person opens: test_register.py",
    "revoke": "the token itself: test_token.py",
}


def test_an_address_without_such_a_test_is_an_error(front: Front) -> None:
    guarded = {route.name for route in front.endpoint.routes if route.guard is Guard.TOKEN}
    others = {route.name for route in front.endpoint.routes if route.guard is not Guard.TOKEN}
    assert guarded == set(GUARDED)
    assert others == set(OTHERWISE)
    assert len(front.endpoint.routes) == len(guarded | others)


@pytest.mark.attack("N1", "N2")
@pytest.mark.parametrize(
    "wrong",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.nip.io:{port}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_host_and_origin_are_looked_at_first_on_every_route(front: Front, wrong: dict[str, str]) -> None:
    paths = {
        "mcp": "/s/files/mcp",
        "health": "/healthz",
        "resource-metadata": "/.well-known/oauth-protected-resource/s/files/mcp",
        "root-metadata": "/.well-known/oauth-protected-resource",
        "server-metadata": "/.well-known/oauth-authorization-server",
        "authorize": "/authorize",
        "wait": "/authorize/wait",
        "token": "/token",
        "register": "/register",
        "revoke": "/revoke",
    }
    assert {route.name for route in front.endpoint.routes} == set(paths)
    for route in front.endpoint.routes:
        for method in (*sorted(route.methods), "OPTIONS"):
            headers = {"Host": f"127.0.0.1:{front.port}"}
            headers |= {key: value.format(port=front.port) for key, value in wrong.items()}
            answer = await front.raw(request(b"", headers, path=paths[route.name], method=method))
            assert (answer.status, answer.body) == (403, b"forbidden"), (route.name, method)
            assert not [name for name, _ in answer.headers if name.startswith("access-control")]
    assert front.clients.looked == 0
    assert front.desk.asked == []


READING = [
    rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t"}}),
    modern(rpc("server/discover")),
    modern(rpc("tools/list")),
    modern(rpc("resources/read", {"uri": "a:b"})),
    modern(rpc("prompts/get", {"name": "p"})),
]
ACTING = [
    tool_call(),
    modern(tool_call()),
    rpc("tasks/cancel", {"taskId": "1"}),
    modern(rpc("tasks/cancel", {"taskId": "1"})),
    modern(rpc("vendor/anything")),
    {"jsonrpc": "2.0", "method": "notifications/vendor"},
]


def headers_of(message: dict[str, Any]) -> dict[str, str]:
    params = message.get("params") or {}
    if "_meta" not in params:
        return {}
    name = params.get("name") or params.get("uri")
    return {key.replace("_", "-"): value for key, value in modern_headers(message["method"], name).items()}


@pytest.mark.parametrize("message", ACTING, ids=lambda message: json.dumps(message)[:60])
@pytest.mark.parametrize("kind", ["static", "login"])
async def test_a_token_that_may_only_look_is_403_with_all_that_is_needed(
    front: Front, kind: str, message: dict[str, Any]
) -> None:
    if kind == "static":
        servers = (ServerName("files"),)
        token = front.clients.add(ClientName("looker"), servers, 3600, frozenset({Right.READ})).open()
    else:
        token = (await OAuthClient(front).log_in())["access_token"]

    answer = await reach(front, ("POST", headers_of(message), message), token)

    assert answer.status == 403
    where = f"http://127.0.0.1:{front.port}/.well-known/oauth-protected-resource/s/files/mcp"
    expected = f'Bearer error="insufficient_scope", resource_metadata="{where}", scope="{READ} {CALL}"'
    assert answer.header("www-authenticate") == expected
    assert front.causes == ["scope"]
    assert front.gate.seen == []
    assert front.gate.noticed == []


@pytest.mark.parametrize("message", READING, ids=lambda message: str(message["method"]))
async def test_a_token_that_may_only_look_may_look(front: Front, message: dict[str, Any]) -> None:
    token = (await OAuthClient(front).log_in())["access_token"]

    assert (await reach(front, ("POST", headers_of(message), message), token)).status == 200
    assert [call.principal.rights for call in front.gate.seen] == [frozenset({Right.READ})]


async def test_stepping_up_lets_the_same_client_and_session_go_on(front: Front) -> None:
    client = OAuthClient(front)
    token = (await client.log_in())["access_token"]
    opened = await reach(front, ("POST", {}, READING[0]), token)
    session = {"Mcp-Session-Id": opened.header("mcp-session-id") or ""}
    assert (await reach(front, ("POST", session, tool_call()), token)).status == 403

    more = (await client.log_in(scope=f"{READ} {CALL}"))["access_token"]

    assert (await reach(front, ("POST", session, tool_call()), more)).status == 200
    assert [client.name for client in front.clients.all()] == ["logged-in"]
    # The first token has not become more than it was.
    assert (await reach(front, ("POST", session, tool_call()), token)).status == 403
