"""Bodies of HTTP answers: whole ones, and streams of server-sent events, each within a limit."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ztmcp_desktop.domain.denial import Code, Denial

STREAM_FACTOR = 4
MIN_RETRY_S = 0.1
FIRST_RETRY_S = 1.0
# It goes back to the server in a header.
_ID = re.compile(rb"[\x21-\x7e]{1,256}")
_MARKS = frozenset({b"id", b"retry"})
_MILLISECONDS = re.compile(rb"[0-9]{1,9}")


@dataclass(slots=True)
class Trail:
    """How far a stream was read, and how long the server wants us to wait before we go on (WHATWG HTML, 9.2).

    One that is `standing` belongs to no single answer: it may last for ever, so only each event in it is limited.
    """

    standing: bool = False
    last_id: str = ""
    retry_s: float = FIRST_RETRY_S

    def follow(self, passed: Mapping[bytes, bytes]) -> None:
        """Take the marks of an event that was read whole; one that is no id, or no time, changes nothing."""
        if _ID.fullmatch(found := passed.get(b"id", b"")):
            self.last_id = found.decode("ascii")
        if _MILLISECONDS.fullmatch(found := passed.get(b"retry", b"")):
            self.retry_s = max(MIN_RETRY_S, int(found) / 1000)


async def whole(untrusted: AsyncIterator[bytes], limit_bytes: int) -> bytes:
    """The body.

    Raises:
        Denial: it is larger than `limit_bytes` (`too-large`).
    """
    body = bytearray()
    async for chunk in untrusted:
        body += chunk
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
    return bytes(body)


def _lines(chunk: bytes) -> list[bytes]:
    """Split at LF, CR LF or CR, without copying a long text to look for what it does not hold."""
    *ended, rest = chunk.split(b"\n")
    lines: list[bytes] = []
    for line in (*(line.removesuffix(b"\r") for line in ended), rest):
        lines += line.split(b"\r") if b"\r" in line else (line,)
    return lines


async def events(untrusted: AsyncIterator[bytes], limit_bytes: int, trail: Trail) -> AsyncIterator[bytes]:
    """The data of each server-sent event (WHATWG HTML, 9.2) of type `message` that has any; `trail` is kept up.

    Raises:
        Denial: an event is larger than `limit_bytes`, or all of an answer than four times that (`too-large`).
    """
    line, data, kind, total, after_return = bytearray(), bytearray(), b"", 0, False
    passed: dict[bytes, bytes] = {}
    async for chunk in untrusted:
        total += len(chunk)
        if after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # noqa: PLW2901 - the second half of a line's end
        after_return = chunk.endswith(b"\r") or (after_return and not chunk)
        *ended, rest = _lines(chunk)
        for part in ended:
            line += part
            if not line:
                # One line's end alone is an event without data, which only says how far the stream is.
                if len(data) > 1 and kind in (b"", b"message"):
                    del data[-1:]
                    yield bytes(data)
                trail.follow(passed)
                data, kind, passed = bytearray(), b"", {}
            else:
                name, _, value = bytes(line).partition(b":")
                value = value.removeprefix(b" ")
                if name == b"data":
                    data += value
                    data += b"\n"
                elif name == b"event":
                    kind = value
                elif name in _MARKS:
                    passed[name] = value
            line = bytearray()
        line += rest
        if max(len(line) + len(data), 0 if trail.standing else total // STREAM_FACTOR) > limit_bytes:
            raise too_large(limit_bytes)
        await asyncio.sleep(0)


def too_large(limit_bytes: int) -> Denial:
    """The refusal of an answer beyond the server's limit."""
    return Denial(Code.TOO_LARGE, f"the server's answer is larger than {limit_bytes} bytes")
