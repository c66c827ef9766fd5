import asyncio
import socket
import time

import psutil
import pytest

from tests.gateway.front import Front, free_port, front_door, read_response, request, rpc, tool_call
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.gateway import http_server
from ztmcp_desktop.gateway.exchange import Timing
from ztmcp_desktop.gateway.http_server import HttpServer


@pytest.mark.attack("N10")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_a_taken_port_is_an_error_on_either_address(
    family: socket.AddressFamily, host: str, front: Front
) -> None:
    port = free_port()
    with socket.socket(family) as squatter:
        squatter.bind((host, port))
        squatter.listen()

        with pytest.raises(Denial, match=f"port {port} cannot be used"):
            await HttpServer(front.endpoint.app, port).start()

    # Nothing of the failed start is left listening.
    again = HttpServer(front.endpoint.app, port)
    await again.start()
    await again.stop()


@pytest.mark.attack("N2")
async def test_it_listens_on_loopback_only(front: Front) -> None:
    listening = {
        connection.laddr.ip
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == front.port
    }

    assert listening == {"127.0.0.1", "::1"}


async def test_nothing_listens_after_stop_and_open_streams_do_not_hold_it() -> None:
    async with front_door() as front:
        session = await front.initialize()
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(request(b"", front.headers(Mcp_Session_Id=session), method="GET"))
        await reader.readuntil(b": ping\r\n\r\n")
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert await asyncio.wait_for(reader.read(), 5) is not None
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", front.port)


@pytest.mark.attack("N8")
@pytest.mark.parametrize("sent", [b"", b"POST /s/files/mcp HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
async def test_headers_that_drip_end_the_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEADER_S", 0.1)
    async with front_door() as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(sent)

        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.attack("N8")
async def test_slow_headers_of_a_second_request_end_the_connection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with front_door() as front:
        session = await front.initialize()
        monkeypatch.setattr(http_server, "HEADER_S", 0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(request(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', front.headers(Mcp_Session_Id=session)))
        assert (await read_response(reader)).status == 200
        writer.write(b"POST /s")

        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.attack("N8")
@pytest.mark.parametrize(
    "headers", [b"X: " + b"a" * 40000 + b"\r\n", b"".join(b"X%d: a\r\n" % n for n in range(200)), b"X: a" * 100000]
)
async def test_oversized_headers_are_refused(front: Front, headers: bytes) -> None:
    host = f"127.0.0.1:{front.port}".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(b"POST /s/files/mcp HTTP/1.1\r\nHost: " + host + b"\r\n" + headers + b"\r\n\r\n")

    try:
        answer = await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        answer = b""

    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert front.clients.looked == 0
    writer.close()


async def test_trailers_do_not_join_the_headers(front: Front) -> None:
    headers = front.headers(Transfer_Encoding="chunked")
    token = headers.pop("Authorization")
    body = b"2\r\n{}\r\n0\r\nAuthorization: " + token.encode() + b"\r\n\r\n"

    assert (await front.raw(request(body, headers))).status == 401


async def test_rubbish_harms_no_other_connection(front: Front) -> None:
    session = await front.initialize()
    for rubbish in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"CONNECT evil:1 HTTP/1.1\r\n\r\n",
        b"\x00" * 1000,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(rubbish)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert (await front.post(rpc("ping"), Mcp_Session_Id=session)).status == 200


async def test_a_client_that_stops_reading_is_given_up() -> None:
    async with front_door(Timing(stall_s=0.2)) as front:
        session = await front.initialize()
        flooded = asyncio.Event()

        async def act(call: Call) -> Reply:
            try:
                while True:
                    await call.channel.notify("notifications/message", {"data": "x" * 100_000})
                    await asyncio.sleep(0)
            finally:
                flooded.set()

        front.gate.act = act
        body = str(tool_call()).replace("'", '"').encode()
        _, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1024)
        writer.write(request(body, front.headers(Mcp_Session_Id=session)))

        await asyncio.wait_for(flooded.wait(), 10)
        writer.close()


async def test_a_call_does_not_wait_for_delayed_acknowledgements(front: Front) -> None:
    session = await front.initialize()
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    times: list[float] = []
    for _ in range(50):
        begun = time.perf_counter()
        writer.write(request(body, front.headers(Mcp_Session_Id=session)))
        assert (await read_response(reader)).status == 200
        times.append(time.perf_counter() - begun)
    writer.close()

    assert sorted(times)[25] < 0.03
