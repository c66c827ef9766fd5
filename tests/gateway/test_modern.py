import asyncio
import json

import pytest

from tests.gateway.front import Front, modern, modern_headers, refuses, request, rpc, tool_call, until
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.offer import Era


@pytest.mark.attack("N5")
@pytest.mark.parametrize(
    "change",
    [
        {"Mcp_Name": "read_file"},
        {"Mcp_Name": "Echo"},
        {"Mcp_Name": "echo2"},
        {"Mcp_Name": "=?base64?ZGVsZXRlX2ZpbGU=?="},
        {"Mcp_Name": "=?base64?!!!?="},
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": "Tools/Call"},
        {"Mcp_Param_Region": "eu"},
    ],
)
async def test_headers_that_differ_from_the_body_are_400(front: Front, change: dict[str, str]) -> None:
    answer = await front.post(modern(tool_call()), **{**modern_headers(), **change})

    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)
    assert front.gate.seen == []
    assert front.causes == ["http-400"]


@pytest.mark.attack("N5")
@pytest.mark.parametrize("twice", ["Mcp-Name", "Mcp-Method", "MCP-Protocol-Version"])
async def test_a_routing_header_that_occurs_twice_is_400(front: Front, twice: str) -> None:
    headers = front.headers(**modern_headers())
    pairs = [*headers.items(), (twice.lower(), headers[twice])]

    answer = await front.raw(request(json.dumps(modern(tool_call())).encode(), pairs))

    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)
    assert front.gate.seen == []


@pytest.mark.attack("N5")
async def test_a_mirrored_argument_must_be_mirrored_and_only_once(front: Front) -> None:
    message = modern(rpc("tools/call", {"name": "echo", "arguments": {"text": "a", "region": "eu"}}))
    good = front.headers(**modern_headers(), Mcp_Param_Region="eu")
    bodies = json.dumps(message).encode()

    missing = await front.post(message, **modern_headers())
    twice = await front.raw(request(bodies, [*good.items(), ("mcp-param-region", "eu")]))
    assert [missing.status, twice.status] == [400, 400]
    assert front.gate.seen == []

    assert (await front.raw(request(bodies, good))).status == 200


async def test_a_body_without_its_envelope_is_400(front: Front) -> None:
    answer = await front.post(tool_call(), **modern_headers())

    assert (answer.status, answer.json["error"]["code"]) == (400, -32602)
    assert front.gate.seen == []


async def test_an_unknown_version_is_told_what_is_served(front: Front) -> None:
    message = json.loads(json.dumps(modern(tool_call())).replace("2026-07-28", "2031-01-01"))

    answer = await front.post(message, **{**modern_headers(), "MCP_Protocol_Version": "2031-01-01"})

    assert (answer.status, answer.json["error"]["code"]) == (400, -32022)
    assert answer.json["error"]["data"]["supported"] == ["2026-07-28"]


async def test_a_response_is_refused_and_there_is_no_stream_to_open(front: Front) -> None:
    headers = {"MCP_Protocol_Version": "2026-07-28"}

    assert (await front.post({"jsonrpc": "2.0", "id": "ztmcp-1", "result": {}}, **headers)).status == 400
    assert (await front.post(b"", method="GET", **headers)).status == 405
    assert (await front.post(b"", method="DELETE", **headers)).status == 405


async def test_a_refused_tool_call_is_a_complete_result(front: Front) -> None:
    front.gate.act = refuses(Code.NO_ANSWER, "nobody answered in time")

    answer = await front.post(modern(tool_call()), **modern_headers())

    result = answer.json["result"]
    assert (answer.status, result["isError"], result["resultType"]) == (200, True, "complete")
    assert result["_meta"]["ztmcp/denial"]["code"] == "no-answer"


async def test_an_unknown_method_that_a_server_refuses_is_404(front: Front) -> None:
    async def act(call: Call) -> Reply:
        return Reply(body={"code": -32601, "message": "Method not found"}, is_error=True)

    front.gate.act = act
    answer = await front.post(modern(rpc("x/y", {})), **modern_headers("x/y", None))

    assert (answer.status, answer.json["error"]["code"]) == (404, -32601)


async def test_a_server_cannot_ask_this_client(front: Front) -> None:
    refused: list[Code] = []

    async def act(call: Call) -> Reply:
        try:
            await call.channel.request("roots/list", None)
        except Denial as denial:
            refused.append(denial.code)
        return Reply(body={"content": []})

    front.gate.act = act
    answer = await front.post(modern(tool_call(), roots={}), **modern_headers())

    assert refused == [Code.SERVER_UNAVAILABLE]
    assert answer.json["result"] == {"content": [], "resultType": "complete"}
    assert front.gate.seen[0].client_capabilities == {"roots": {}}
    assert front.gate.seen[0].era is Era.MODERN


async def test_another_clients_cancellation_cancels_nothing(front: Front) -> None:
    go = asyncio.Event()

    async def act(call: Call) -> Reply:
        await go.wait()
        return Reply(body={"content": []})

    front.gate.act = act
    call = asyncio.create_task(front.post(modern(tool_call()), **modern_headers()))
    await until(lambda: front.gate.seen)
    front.token("other", "files")
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert (await front.post(cancel, client="other", MCP_Protocol_Version="2026-07-28")).status == 202
    go.set()

    assert (await call).json["result"]["content"] == []
    assert front.gate.withdrawn == []


@pytest.mark.attack("C8")
async def test_closing_the_response_withdraws_the_call(front: Front) -> None:
    async def act(call: Call) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    front.gate.act = act
    _, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request(json.dumps(modern(tool_call())).encode(), front.headers(**modern_headers())))
    await until(lambda: front.gate.seen)

    writer.close()

    await until(lambda: front.gate.withdrawn)


@pytest.mark.attack("T12")
async def test_a_list_is_never_shared_between_users(front: Front) -> None:
    result = (await front.post(modern(rpc("tools/list")), **modern_headers("tools/list", None))).json["result"]

    assert (result["cacheScope"], result["ttlMs"], result["resultType"]) == ("private", 0, "complete")
    assert [tool["name"] for tool in result["tools"]] == ["echo"]


async def test_a_notification_goes_to_the_gate_and_is_acknowledged(front: Front) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/x"}

    assert (await front.post(message, MCP_Protocol_Version="2026-07-28")).status == 202
    assert (await front.post(message, MCP_Protocol_Version="2031-01-01")).status == 400
    assert front.gate.noticed == ["notifications/x"]


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
async def test_a_method_that_this_era_never_had_is_not_found(front: Front, method: str) -> None:
    answer = await front.post(modern(rpc(method, {"uri": "test://a"})), **modern_headers(method, None))
    assert (answer.status, answer.json["error"]["code"]) == (404, -32601)
    assert front.gate.seen == []


async def test_a_client_that_did_not_ask_for_logs_hears_none(front: Front) -> None:
    async def act(call: Call) -> Reply:
        await call.channel.notify("notifications/message", {"level": "error", "data": "x"})
        return Reply(body={"content": []})

    front.gate.act = act
    answer = await front.post(modern(tool_call()), **modern_headers())
    assert answer.json["result"]["content"] == []
