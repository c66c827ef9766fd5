"""Bodies of HTTP answers: whole ones, and streams of server-sent events, each within a limit."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ztmcp_desktop.domain.denial import Code, Denial

STREAM_FACTOR = 4
MIN_RETRY_S = 0.1
FIRST_RETRY_S = 1.0
MAX_RUSH_S = 0.001
RESTS = 4
"""What comes on a standing stream is looked at for a fifth of the time at most, so that none keeps the loop busy."""
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
        if not passed:
            return
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


class _Event:
    """One event while it comes, line by line."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.marks: dict[bytes, bytes] = {}
        self._kind = b""

    def take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self.data += value
            self.data += b"\n"
        elif name == b"event":
            self._kind = value
        elif name in _MARKS:
            self.marks[name] = value

    @property
    def message(self) -> bytes:
        """Its data, empty where it has none, or is none of a message; one line's end alone is none either."""
        return bytes(memoryview(self.data)[:-1]) if self._kind in {b"", b"message"} else b""


async def events(untrusted: AsyncIterator[bytes], limit_bytes: int, trail: Trail) -> AsyncIterator[bytes]:
    """The data of each server-sent event (WHATWG HTML, 9.2) of type `message` that has any; `trail` is kept up.

    Raises:
        Denial: an event is larger than `limit_bytes`, or all of an answer than four times that (`too-large`).
    """
    line, event, total, after_return = bytearray(), _Event(), 0, False
    async for chunk in untrusted:
        began = time.perf_counter()
        total += len(chunk)
        ends_in_return = chunk.endswith(b"\r") or (after_return and not chunk)
        if after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # noqa: PLW2901 - the second half of a line's end
        after_return = ends_in_return
        *ended, rest = _lines(chunk)
        for part in ended:
            line += part
            if line:
                event.take(bytes(line))
                line = bytearray()
                continue
            if message := event.message:
                if len(message) > limit_bytes:
                    raise too_large(limit_bytes)
                yield message
            trail.follow(event.marks)
            event = _Event()
        line += rest
        if max(len(line) + len(event.data), 0 if trail.standing else total // STREAM_FACTOR) > limit_bytes:
            raise too_large(limit_bytes)
        await asyncio.sleep(_rest_s(trail, time.perf_counter() - began))


def _rest_s(trail: Trail, spent_s: float) -> float:
    return RESTS * spent_s if trail.standing and spent_s > MAX_RUSH_S else 0.0


def too_large(limit_bytes: int) -> Denial:
    """The refusal of an answer beyond the server's limit."""
    return Denial(Code.TOO_LARGE, f"the server's answer is larger than {limit_bytes} bytes")
