import asyncio

from ztmcp_desktop.gateway.stderr_log import MAX_LINE_BYTES, MAX_LINES, StderrLog


async def drained(*chunks: bytes) -> tuple[str, ...]:
    reader, log = asyncio.StreamReader(), StderrLog()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    await log.drain(reader)
    return log.lines


async def test_control_characters_are_visible() -> None:
    lines = await drained(b"\x1b]8;;http://x\x07a\r\n", b"b\x00")
    assert lines == ("⟦U+001B⟧]8;;http://x⟦U+0007⟧a", "b⟦U+0000⟧")


async def test_a_flood_keeps_the_last_lines_and_long_ones_are_cut() -> None:
    lines = await drained(b"x\n" * 10_000, b"y" * 100_000, b"z\nlast")
    assert len(lines) == MAX_LINES
    assert lines[-1] == "last"
    assert lines[-2] == "y" * MAX_LINE_BYTES
