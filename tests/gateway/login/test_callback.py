import asyncio

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.gateway.login import callback
from ztmcp_desktop.gateway.login.callback import Callback

pytestmark = pytest.mark.attack("O7")


async def knock(port: int, target: str = "/callback?code=1&state=2", **changes: str) -> str:
    """What the listener says to one request."""
    method, host = changes.get("method", "GET"), changes.get("host", f"127.0.0.1:{port}")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{changes.get('more', '')}\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_the_answer_is_taken_once() -> None:
    async with Callback.bind(None) as listener:
        first = await knock(listener.port)
        second = await knock(listener.port, "/callback?code=other&state=2")
        assert await listener.answer() == {"code": "1", "state": "2"}
    assert first.startswith("HTTP/1.1 200 ")
    assert second.startswith("HTTP/1.1 404 ")
    with pytest.raises(ConnectionRefusedError):
        await knock(listener.port)


@pytest.mark.parametrize("target", ["/callback?code=1", "/nothing"])
async def test_no_page_can_be_framed_run_anything_or_say_where_it_came_from(target: str) -> None:
    async with Callback.bind(None) as listener:
        answer = await knock(listener.port, target)
    assert "frame-ancestors 'none'" in answer
    assert "default-src 'none'" in answer
    assert "X-Frame-Options: DENY" in answer
    assert "Referrer-Policy: no-referrer" in answer
    assert "Cache-Control: no-store" in answer
    assert "<script" not in answer
    assert "<form" not in answer


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        ("/callback", {}),
        ("/callback?x=1", {}),
        ("/callback/?code=1", {}),
        ("/other?code=1", {}),
        ("http://127.0.0.1/callback?code=1", {}),
        ("/callback?code=1&code=2", {}),
        ("/callback?" + "&".join(f"a{number}=1" for number in range(40)), {}),
        ("/callback?code=1", {"method": "POST"}),
        ("/callback?code=1", {"host": "evil.example"}),
        ("/callback?code=1", {"host": "localhost"}),
        ("/callback?code=1", {"more": "Host: evil.example\r\n"}),
    ],
)
async def test_what_is_no_answer_changes_nothing(target: str, changes: dict[str, str]) -> None:
    async with Callback.bind(None) as listener:
        assert (await knock(listener.port, target, **changes)).startswith("HTTP/1.1 404 ")
        assert (await knock(listener.port)).startswith("HTTP/1.1 200 ")
        assert await listener.answer() == {"code": "1", "state": "2"}


async def test_it_listens_on_this_machine_only_and_at_ports_that_the_system_chooses() -> None:
    async with Callback.bind(None) as one, Callback.bind(None) as other:
        assert one._listening.getsockname()[0] == "127.0.0.1"
        assert one.port != other.port
        assert one.uri == f"http://127.0.0.1:{one.port}/callback"
        with pytest.raises(OSError, match="in use"):
            Callback.bind(one.port)


async def test_nobody_is_waited_for_longer_than_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert callback.WAIT_S == 300
    monkeypatch.setattr(callback, "WAIT_S", 0.05)
    async with Callback.bind(None) as listener:
        with pytest.raises(Denial) as caught:
            await listener.answer()
    assert caught.value.code is Code.NO_ANSWER


@pytest.mark.attack("N8")
async def test_a_request_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "READ_S", 0.2)
    async with Callback.bind(None) as listener:
        for sent in (b"GET /", b"x" * 40_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        assert (await knock(listener.port)).startswith("HTTP/1.1 200 ")
