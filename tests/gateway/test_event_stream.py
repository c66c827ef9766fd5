import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.gateway.event_stream import MIN_RETRY_S, Trail, events, whole

LIMIT_BYTES = 1000


async def pieces(stream: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(stream), size):
        yield stream[start : start + size]


async def read(stream: bytes, size: int = 1000) -> tuple[list[bytes], Trail]:
    trail = Trail()
    return [event async for event in events(pieces(stream, size), LIMIT_BYTES, trail)], trail


@pytest.mark.attack("N8")
async def test_what_is_larger_than_the_limit_is_cut_off() -> None:
    with pytest.raises(Denial) as of_a_body:
        await whole(pieces(b"x" * 1001), LIMIT_BYTES)
    with pytest.raises(Denial) as of_an_event:
        await read(b"data: " + b"x" * 1001)
    with pytest.raises(Denial) as of_a_whole_event:
        await read(b"data: " + b"x" * 1001 + b"\n\n", 2000)
    with pytest.raises(Denial) as of_a_stream:
        await read(b": ping\n\n" * 1000)
    caught = (of_a_body, of_an_event, of_a_whole_event, of_a_stream)
    assert [one.value.code for one in caught] == [Code.TOO_LARGE] * 4


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_events_are_found_however_the_bytes_come(size: int) -> None:
    found, trail = await read(
        b": hi\r\n\r\ndata: a\r\ndata: b\r\n\r\nevent: other\ndata: no\n\nid: 1\rdata:c\r\rdata: cut", size
    )
    assert found == [b"a\nb", b"c"]
    assert trail.last_id == "1"


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_a_line_that_ends_in_another_way_than_the_last_ends_too(size: int) -> None:
    found, _ = await read(b"data: a\r\n\ndata: b\r\n\n", size)
    assert found == [b"a", b"b"]


@pytest.mark.attack("N8")
@pytest.mark.parametrize("line", [b"\n", b":\n", b"data:\n", b"event: other\ndata:\n\n"])
async def test_a_standing_stream_that_says_nothing_for_ever_leaves_the_loop_to_others(line: bytes) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield line * (65536 // len(line))

    async def listen() -> None:
        async for _ in events(endless(), 1024**2, Trail(standing=True)):
            raise AssertionError("nothing was said")

    began = time.thread_time()
    with pytest.raises((TimeoutError, Denial)):
        async with asyncio.timeout(0.5):
            await listen()
    assert time.thread_time() - began < 0.25


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_an_event_without_data_says_how_far_the_stream_is_and_is_no_message(size: int) -> None:
    found, trail = await read(b"id: event-7\r\nretry: 1500\r\ndata: \r\n\r\n", size)
    assert found == []
    assert trail == Trail(last_id="event-7", retry_s=1.5)


@pytest.mark.parametrize("mark", [b"", b"a b", b"a\tb", "é".encode(), b"x" * 257])
async def test_an_id_that_no_header_may_hold_is_none(mark: bytes) -> None:
    _, trail = await read(b"id: 1\ndata: a\n\nid: " + mark + b"\ndata: b\n\n")
    assert trail.last_id == "1"


@pytest.mark.parametrize("wait", [b"", b"-1", b"1.5", b"soon", b"9" * 10])
async def test_a_time_that_is_none_changes_nothing(wait: bytes) -> None:
    _, trail = await read(b"retry: " + wait + b"\n\n")
    assert trail == Trail()


async def test_nobody_is_asked_again_without_a_pause() -> None:
    _, trail = await read(b"retry: 0\n\n")
    assert trail.retry_s == MIN_RETRY_S


async def test_an_event_that_was_cut_is_asked_for_again() -> None:
    _, trail = await read(b"id: 1\ndata: a\n\nid: 2\ndata: b")
    assert trail.last_id == "1"
