import asyncio
import json

import pytest

from tests.gateway.front import Front, front_door, modern, modern_headers, request, rpc, tool_call, until
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.exchange import Timing


def assert_nothing_forwarded(front: Front) -> None:
    assert front.gate.seen == []
    assert front.gate.noticed == []


@pytest.mark.attack("N3")
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ztmcp_wrong",
        "Bearer ztmcp_" + "A" * 43,
        "Basic dGVzdHM6dGVzdHM=",
        "{token}",
        "Token {token}",
        "Bearer {token}x",
        "Bearer {token} {token}",
        "Bearer " + "A" * 5000,
    ],
)
async def test_a_request_without_a_live_token_is_401_and_goes_nowhere(front: Front, authorization: str | None) -> None:
    headers = front.headers()
    token = front.token()
    del headers["Authorization"]
    if authorization is not None:
        headers["Authorization"] = authorization.format(token=token)

    answer = await front.raw(request(json.dumps(tool_call()).encode(), headers))

    assert answer.status == 401
    assert (answer.header("www-authenticate") or "").startswith("Bearer ")
    assert front.causes == ["token"]
    assert front.ledger.rejected[0][1].code is Code.UNAUTHENTICATED
    assert_nothing_forwarded(front)


@pytest.mark.attack("N3")
async def test_two_authorization_headers_are_401(front: Front) -> None:
    pairs = [*front.headers().items(), ("Authorization", f"Bearer {front.token()}")]

    assert (await front.raw(request(b"{}", pairs))).status == 401
    assert_nothing_forwarded(front)


@pytest.mark.attack("N3")
async def test_a_token_in_the_address_is_not_taken(front: Front) -> None:
    headers = front.headers()
    del headers["Authorization"]
    path = f"/s/files/mcp?access_token={front.token()}&token={front.token()}"

    assert (await front.raw(request(json.dumps(tool_call()).encode(), headers, path=path))).status == 401
    assert_nothing_forwarded(front)


@pytest.mark.attack("N3")
async def test_another_servers_token_is_401(front: Front) -> None:
    front.token("other", "mail")

    answer = await front.post(rpc("ping"), client="other")

    assert answer.status == 401
    assert_nothing_forwarded(front)


@pytest.mark.attack("N3")
async def test_after_revocation_the_next_request_is_401(front: Front) -> None:
    session = await front.initialize()
    front.gate.seen.clear()

    assert front.clients.revoke(ClientName("tests"))
    answer = await front.post(tool_call(), Mcp_Session_Id=session)

    assert answer.status == 401
    assert_nothing_forwarded(front)


async def test_an_expired_token_is_401(front: Front) -> None:
    front.token()
    await front.clock.advance(3601)

    assert (await front.post(tool_call())).status == 401


async def test_a_token_revoked_while_the_body_is_on_its_way_is_401(front: Front) -> None:
    body = json.dumps(modern(tool_call())).encode()
    data = request(body, front.headers(**modern_headers()))
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(data[:-1])
    await until(lambda: front.clients.looked)
    front.clients.revoke(ClientName("tests"))
    writer.write(data[-1:])

    assert b" 401 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert_nothing_forwarded(front)


async def test_a_client_book_that_cannot_be_trusted_lets_nobody_in(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = front.headers()

    def forged(untrusted_token: str, server: ServerName) -> None:
        raise Denial(Code.GATEWAY_FAULT, "forged")

    monkeypatch.setattr(front.clients, "authenticate", forged)

    assert (await front.raw(request(json.dumps(tool_call()).encode(), headers))).status == 503
    assert_nothing_forwarded(front)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/authorize/",
        "/token/x",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/s/files/mcp",
        "/.well-known/oauth-protected-resource/s/FILES/mcp",
        "/.well-known/oauth-protected-resource/s/files",
        "/s/files",
        "/s/files/mcp/",
        "/s/FILES/mcp",
        "/s/a--b/mcp",
        "/s/../s/files/mcp",
        "/s/%66iles/mcp",
        "/healthz/",
    ],
)
async def test_everything_else_is_404(front: Front, path: str) -> None:
    assert (await front.post(tool_call(), path=path)).status == 404
    assert_nothing_forwarded(front)


async def test_health_says_only_that_it_is_alive(front: Front) -> None:
    answer = await front.raw(request(b"", {"Host": f"127.0.0.1:{front.port}"}, path="/healthz", method="GET"))

    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.header("server") is None


@pytest.mark.attack("N2", "N4")
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json-rpc",
        "text/plain, application/json",
        "",
    ],
)
async def test_a_body_that_is_not_json_by_its_type_is_415(front: Front, content_type: str) -> None:
    answer = await front.post(tool_call(), Content_Type=content_type)

    assert answer.status == 415
    assert front.causes == ["http-415"]
    assert_nothing_forwarded(front)


@pytest.mark.attack("N4")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"[" + json.dumps(tool_call()).encode() + b"]",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}',
        json.dumps(tool_call()).encode() + b"x",
        json.dumps(tool_call()).encode() * 2,
        b"\xef\xbb\xbf" + json.dumps(tool_call()).encode(),
        json.dumps(tool_call()).encode("utf-16"),
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"a":NaN}}',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 10000 + b"1" + b"}" * 10001,
    ],
)
async def test_a_body_that_two_readers_could_differ_about_is_400(front: Front, body: bytes) -> None:
    session = await front.initialize()
    front.gate.seen.clear()

    answer = await front.post(body, Mcp_Session_Id=session)

    assert answer.status == 400
    assert answer.json["error"]["code"] in {-32700, -32600, -32602}
    assert front.causes == ["http-400"]
    assert_nothing_forwarded(front)


@pytest.mark.attack("N8")
async def test_a_body_beyond_the_cap_is_413_whether_declared_or_not() -> None:
    async with front_door(request_bytes=1000) as front:
        declared = await front.post(b" " * 1001)
        headers = front.headers(Transfer_Encoding="chunked")
        counted = await front.raw(request(b"401\r\n" + b" " * 0x401 + b"\r\n0\r\n\r\n", headers))
        lied = await front.raw(request(b"{}", front.headers(Content_Length="9" * 40)))

        assert (declared.status, counted.status) == (413, 413)
        assert lied.status in {400, 413}
        assert_nothing_forwarded(front)


@pytest.mark.attack("N8")
async def test_a_compressed_body_is_415(front: Front) -> None:
    assert (await front.post(tool_call(), Content_Encoding="gzip")).status == 415
    assert_nothing_forwarded(front)


@pytest.mark.attack("N8")
async def test_a_body_that_drips_is_408() -> None:
    async with front_door(Timing(body_s=0.05)) as front:
        answer = await front.raw(request(b"{", front.headers(Content_Length="100")))

        assert answer.status == 408
        assert_nothing_forwarded(front)


async def test_a_client_that_takes_neither_json_nor_a_stream_is_406(front: Front) -> None:
    assert (await front.post(tool_call(), Accept="text/html")).status == 406


async def test_other_http_methods_are_405(front: Front) -> None:
    assert (await front.post(b"", method="PUT")).status == 405
