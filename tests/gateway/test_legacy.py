import asyncio
import json
import os

import psutil
import pytest

from tests.gateway.front import (
    Front,
    front_door,
    read_event,
    read_head,
    refuses,
    request,
    rpc,
    tool_call,
    until,
)
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.caller import Attested
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.exchange import Timing


async def never(call: Call) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.attack("N6")
async def test_another_clients_session_is_404(front: Front) -> None:
    session = await front.initialize()
    front.token("other", "files")
    front.gate.seen.clear()

    answers = [
        await front.post(tool_call(), client="other", Mcp_Session_Id=session),
        await front.post({"jsonrpc": "2.0", "method": "notifications/x"}, client="other", Mcp_Session_Id=session),
        await front.post(b"", client="other", method="DELETE", Mcp_Session_Id=session),
        await front.post(b"", client="other", method="GET", Mcp_Session_Id=session),
    ]

    assert [answer.status for answer in answers] == [404] * 4
    assert front.gate.seen == []
    assert (await front.post(rpc("ping"), Mcp_Session_Id=session)).status == 200


@pytest.mark.attack("N6")
async def test_a_session_of_one_server_is_404_at_another(front: Front) -> None:
    front.token("both", "files", "mail")
    session = await front.initialize("both")

    answer = await front.post(tool_call(), client="both", path="/s/mail/mcp", Mcp_Session_Id=session)

    assert answer.status == 404


async def test_a_request_without_a_session_is_400_and_an_unknown_one_404(front: Front) -> None:
    assert (await front.post(tool_call())).status == 400
    assert (await front.post(tool_call(), Mcp_Session_Id="guessed")).status == 404
    assert front.gate.seen == []


@pytest.mark.attack("N5")
@pytest.mark.parametrize(
    "headers",
    [
        {"Mcp_Name": "read_file"},
        {"Mcp_Name": "Echo"},
        {"Mcp_Name": "=?base64?ZGVsZXRl?="},
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": "TOOLS/CALL"},
    ],
)
async def test_an_old_version_does_not_excuse_headers_that_contradict_the_body(
    front: Front, headers: dict[str, str]
) -> None:
    session = await front.initialize()
    front.gate.seen.clear()

    answer = await front.post(tool_call(), Mcp_Session_Id=session, MCP_Protocol_Version="2025-11-25", **headers)

    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)
    assert front.gate.seen == []


@pytest.mark.attack("N5")
async def test_a_modern_body_under_an_old_version_is_refused(front: Front) -> None:
    session = await front.initialize()
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}

    answer = await front.post(tool_call(_meta=meta), Mcp_Session_Id=session, MCP_Protocol_Version="2025-11-25")

    assert (answer.status, answer.json["error"]["code"]) == (400, -32020)


async def test_a_refused_tool_call_is_a_result_that_the_model_can_read(front: Front) -> None:
    session = await front.initialize()
    front.gate.act = refuses(Code.REFUSED_BY_PERSON, "the person said no")

    result = (await front.post(tool_call(), Mcp_Session_Id=session)).json["result"]

    assert result["isError"] is True
    assert "the person said no" in result["content"][0]["text"]
    assert result["_meta"]["ztmcp/denial"] == {"code": "refused-by-person", "call": front.gate.seen[-1].id}
    assert "resultType" not in result


async def test_any_other_refusal_is_the_error_31001(front: Front) -> None:
    session = await front.initialize()
    front.gate.act = refuses(Code.NOT_PERMITTED)

    error = (await front.post(rpc("resources/read", {"uri": "a:b"}), Mcp_Session_Id=session)).json["error"]

    assert error["code"] == -31001
    assert error["data"] == {"code": "not-permitted", "call": front.gate.seen[-1].id}


@pytest.mark.allow_log("a call failed inside the gateway: RuntimeError")
async def test_a_fault_of_ours_says_nothing_of_itself_and_harms_no_other_call(front: Front) -> None:
    session = await front.initialize()

    async def act(call: Call) -> Reply:
        raise RuntimeError("with a secret in it")

    front.gate.act = act
    answer = await front.post(tool_call(), Mcp_Session_Id=session)

    assert answer.json["result"]["_meta"]["ztmcp/denial"]["code"] == "gateway-fault"
    assert b"secret" not in answer.body
    assert (await front.post(rpc("ping"), Mcp_Session_Id=session)).json["result"] == {}


async def test_a_servers_error_passes_raw(front: Front) -> None:
    session = await front.initialize()

    async def act(call: Call) -> Reply:
        return Reply(body={"code": -32002, "message": "gone", "data": {"n": 2**70}}, is_error=True)

    front.gate.act = act
    answer = await front.post(tool_call(number=2**53), Mcp_Session_Id=session)

    assert answer.json == {
        "jsonrpc": "2.0",
        "id": 2**53,
        "error": {"code": -32002, "message": "gone", "data": {"n": 2**70}},
    }


async def test_a_call_carries_who_asks_and_from_where(front: Front) -> None:
    session = await front.initialize(roots={})
    await front.post(tool_call(), Mcp_Session_Id=session)

    call = front.gate.seen[-1]
    assert (call.principal.client, call.server, call.era, call.subject) == ("tests", "files", Era.LEGACY, "echo")
    assert call.client_capabilities == {"roots": {}}
    assert isinstance(call.caller, Attested)
    assert call.caller.pid == os.getpid()
    assert call.claimed == "t"


@pytest.mark.attack("C8")
async def test_the_clients_leaving_withdraws_its_call(front: Front) -> None:
    session = await front.initialize()
    front.gate.act = never
    _, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request(json.dumps(tool_call()).encode(), front.headers(Mcp_Session_Id=session)))
    await until(lambda: len(front.gate.seen) == 2)

    writer.close()

    await until(lambda: front.gate.withdrawn)


@pytest.mark.attack("C8")
async def test_a_cancellation_withdraws_exactly_the_call_it_names(front: Front) -> None:
    session = await front.initialize()
    front.gate.act = never
    asked = [
        asyncio.create_task(front.post(tool_call(number=number), Mcp_Session_Id=session)) for number in (1, "1", 2)
    ]
    await until(lambda: len(front.gate.seen) == 4)

    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "1"}}
    assert (await front.post(cancel, Mcp_Session_Id=session)).status == 202

    answer = (await asked[1]).json
    assert (answer["id"], answer["result"]["_meta"]["ztmcp/denial"]["code"]) == ("1", "withdrawn")
    assert len(front.gate.withdrawn) == 1
    assert not asked[0].done()
    assert not asked[2].done()
    assert front.gate.noticed == []
    await front.post(b"", method="DELETE", Mcp_Session_Id=session)
    await asyncio.gather(*asked)


async def test_revocation_ends_open_calls_and_streams(front: Front) -> None:
    session = await front.initialize()
    front.gate.act = never
    call = asyncio.create_task(front.post(tool_call(), Mcp_Session_Id=session))
    stream = asyncio.create_task(front.post(b"", method="GET", Mcp_Session_Id=session))
    await until(lambda: len(front.gate.seen) == 2 and len(front.clients.all()) == 1 and front.clients.looked == 3)

    front.clients.revoke(ClientName("tests"))

    assert (await call).json["result"]["_meta"]["ztmcp/denial"]["code"] == "withdrawn"
    assert (await stream).status == 200
    assert len(front.gate.withdrawn) == 1


async def test_an_id_in_flight_is_refused(front: Front) -> None:
    session = await front.initialize()
    front.gate.act = never
    first = asyncio.create_task(front.post(tool_call(), Mcp_Session_Id=session))
    await until(lambda: len(front.gate.seen) == 2)

    assert (await front.post(tool_call(), Mcp_Session_Id=session)).status == 400
    assert len(front.gate.seen) == 2
    await front.post(b"", method="DELETE", Mcp_Session_Id=session)
    await first


@pytest.mark.attack("N6")
async def test_two_clients_with_the_same_ids_never_get_each_others_answers(front: Front) -> None:
    front.token("other", "files")
    sessions = {client: await front.initialize(client) for client in ("tests", "other")}

    async def act(call: Call) -> Reply:
        await call.channel.notify("notifications/message", {"data": call.principal.client})
        return Reply(body={"content": [], "mark": f"{call.principal.client} {call.arguments['text']}"})

    front.gate.act = act

    async def one(client: str, number: int) -> None:
        answer = await front.post(
            tool_call(text=str(number), number=number), client=client, Mcp_Session_Id=sessions[client]
        )
        told, result = answer.events
        assert told["params"] == {"data": client}
        assert (result["id"], result["result"]["mark"]) == (number, f"{client} {number}")

    for begin in range(0, 500, 10):
        await asyncio.gather(*(one(client, n) for n in range(begin, begin + 10) for client in sessions))
    assert len([call for call in front.gate.seen if call.method == "tools/call"]) == 1000


async def test_what_the_server_says_comes_before_its_answer_in_order(front: Front) -> None:
    session = await front.initialize()

    async def act(call: Call) -> Reply:
        for number in range(600):
            await call.channel.notify("notifications/progress", {"progress": number})
        return Reply(body={"content": []})

    front.gate.act = act
    events = (await front.post(tool_call(), Mcp_Session_Id=session)).events

    assert [event["params"]["progress"] for event in events[:-1]] == list(range(600))
    assert events[-1]["result"] == {"content": []}


async def test_a_server_may_ask_the_client_on_the_stream_of_its_call(front: Front) -> None:
    session = await front.initialize(elicitation={})

    async def act(call: Call) -> Reply:
        answer = await call.channel.request("elicitation/create", {"message": "?"})
        return Reply(body={"content": [], "got": answer})

    front.gate.act = act
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request(json.dumps(tool_call()).encode(), front.headers(Mcp_Session_Id=session)))
    assert (await read_head(reader)).header("content-type") == "text/event-stream"
    asked = await read_event(reader)
    assert asked["method"] == "elicitation/create"

    front.token("other", "files")
    forged = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"by": "other"}}}
    assert (await front.post(forged, client="other", Mcp_Session_Id=session)).status == 404
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}
    assert (await front.post(answer, Mcp_Session_Id=session)).status == 202

    last = await read_event(reader)
    assert last["result"]["got"] == {"action": "decline"}
    writer.close()


async def test_a_clients_error_is_a_denial_for_the_server(front: Front) -> None:
    session = await front.initialize()
    told: list[Denial] = []

    async def act(call: Call) -> Reply:
        try:
            await call.channel.request("roots/list", None)
        except Denial as denial:
            told.append(denial)
        return Reply(body={"content": []})

    front.gate.act = act
    call = asyncio.create_task(front.post(tool_call(), Mcp_Session_Id=session))
    await until(lambda: len(front.gate.seen) == 2)
    error = {"jsonrpc": "2.0", "id": "ztmcp-1", "error": {"code": -32601, "message": "no"}}
    await front.post(error, Mcp_Session_Id=session)
    await call

    assert [denial.code for denial in told] == [Code.SERVER_UNAVAILABLE]


@pytest.mark.attack("C9")
async def test_while_a_call_waits_its_stream_shows_signs_of_life() -> None:
    async with front_door(Timing(quiet_s=0.02)) as front:
        session = await front.initialize()
        go = asyncio.Event()

        async def act(call: Call) -> Reply:
            await go.wait()
            return Reply(body={"content": []})

        front.gate.act = act
        streams = []
        for message in (tool_call(number=1), tool_call(number=2, _meta={"progressToken": "t"})):
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(request(json.dumps(message).encode(), front.headers(Mcp_Session_Id=session)))
            streams.append((reader, writer))
        (silent, first), (informed, second) = streams

        assert b"data" not in await asyncio.wait_for(silent.readuntil(b": ping\r\n\r\n"), 5)
        await read_head(informed)
        signs = [(await read_event(informed))["params"] for _ in range(3)]
        go.set()

        assert (await read_event(silent))["id"] == 1
        assert [sign["progress"] for sign in signs] == sorted({sign["progress"] for sign in signs})
        assert {sign["progressToken"] for sign in signs} == {"t"}
        first.close()
        second.close()


@pytest.mark.attack("N7")
async def test_sessions_are_bounded_and_the_oldest_idle_one_makes_room() -> None:
    async with front_door(max_sessions=8) as front:
        made = [await front.initialize() for _ in range(20)]
        front.token("other", "files")
        others = await front.initialize("other")

        statuses = [(await front.post(rpc("ping"), Mcp_Session_Id=session)).status for session in made]

        assert statuses == [404] * 18 + [200] * 2
        assert (await front.post(rpc("ping"), client="other", Mcp_Session_Id=others)).status == 200


@pytest.mark.attack("N7")
async def test_ten_thousand_abandoned_sessions_stay_within_a_bound() -> None:
    async with front_door(max_sessions=64) as front:
        memory = psutil.Process().memory_info
        for _ in range(100):
            await asyncio.gather(*(front.initialize() for _ in range(10)))
        # The calls that the played gate remembers are the test's own weight.
        front.gate.seen.clear()
        before = memory().rss
        for _ in range(900):
            await asyncio.gather(*(front.initialize() for _ in range(10)))
            front.gate.seen.clear()
        assert len(front.endpoint._sessions) <= 64
        assert memory().rss - before < 32 * 1024**2


@pytest.mark.attack("N7")
async def test_a_busy_session_is_not_evicted() -> None:
    async with front_door(max_sessions=4) as front:
        session = await front.initialize()
        front.gate.act = never
        call = asyncio.create_task(front.post(tool_call(), Mcp_Session_Id=session))
        await until(lambda: len(front.gate.seen) == 2)

        assert (await front.post(rpc("initialize", {"protocolVersion": "2025-11-25"}, 0))).status == 503
        assert not call.done()
        await front.post(b"", method="DELETE", Mcp_Session_Id=session)
        await call


async def test_a_silent_session_ends(front: Front) -> None:
    front.tokens["tests"] = front.clients.add(ClientName("tests"), ("files",), 1e6).open()  # type: ignore[arg-type]
    session = await front.initialize()
    await front.clock.advance(1801)

    assert (await front.post(rpc("ping"), Mcp_Session_Id=session)).status == 404


async def test_delete_ends_the_session(front: Front) -> None:
    session = await front.initialize()

    assert (await front.post(b"", method="DELETE", Mcp_Session_Id=session)).status == 200
    assert (await front.post(rpc("ping"), Mcp_Session_Id=session)).status == 404


async def test_a_second_standing_stream_is_409(front: Front) -> None:
    session = await front.initialize()
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request(b"", front.headers(Mcp_Session_Id=session), method="GET"))
    assert (await read_head(reader)).status == 200

    assert (await front.post(b"", method="GET", Mcp_Session_Id=session)).status == 409
    writer.close()


async def test_a_refused_initialize_leaves_no_session(front: Front) -> None:
    answer = await front.post(rpc("initialize", {"protocolVersion": 7}, 0))

    session = answer.header("mcp-session-id") or ""
    assert answer.json["error"]["code"] == -32602
    assert (await front.post(rpc("ping"), Mcp_Session_Id=session)).status == 404


async def test_a_notification_goes_to_the_gate(front: Front) -> None:
    session = await front.initialize()
    message = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}

    assert (await front.post(message, Mcp_Session_Id=session)).status == 202
    assert front.gate.noticed == ["notifications/roots/list_changed"]


async def test_an_open_stream_ends_soon_after_its_token_expires(front: Front) -> None:
    session = await front.initialize()
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(request(b"", front.headers(Mcp_Session_Id=session), method="GET"))
    assert (await read_head(reader)).status == 200
    front.clients.confirm(front.gate.seen[0].principal, front.gate.seen[0].server)

    # The session itself is young enough; only the token is not.
    front.endpoint._sessions._idle_s = 1e9
    await front.clock.advance(3601)

    await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    writer.close()


@pytest.mark.parametrize(("level", "heard"), [(None, ["debug", "error"]), ("warning", ["error"])])
async def test_a_session_hears_logs_from_the_level_that_it_set(
    front: Front, level: str | None, heard: list[str]
) -> None:
    async def act(call: Call) -> Reply:
        for line in ("debug", "error"):
            await call.channel.notify("notifications/message", {"level": line, "data": "x"})
        return Reply(body={"content": []})

    front.gate.act = act
    session = await front.initialize()
    if level is not None:
        await front.post(rpc("logging/setLevel", {"level": level}, 1), Mcp_Session_Id=session)
    answer = await front.post(tool_call(number=2), Mcp_Session_Id=session)
    assert [event["params"]["level"] for event in answer.events[:-1]] == heard
    assert front.gate.seen[-1].log_level == level
