"""The last lines that a server's processes wrote to stderr, made safe to look at."""

import asyncio
from collections import deque

from ztmcp_desktop.scan.hidden import visible

MAX_LINES = 500
MAX_LINE_BYTES = 2000
READ_BYTES = 16 * 1024


class StderrLog:
    """A ring of the last `MAX_LINES` lines, each cut to `MAX_LINE_BYTES`."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)

    @property
    def lines(self) -> tuple[str, ...]:
        """Oldest first."""
        return tuple(self._lines)

    async def drain(self, untrusted: asyncio.StreamReader) -> None:
        """Take lines until the stream ends; what is over long is cut, never kept waiting."""
        line = bytearray()
        while chunk := await untrusted.read(READ_BYTES):
            *ended, rest = chunk.split(b"\n")
            for part in ended:
                line += part[: MAX_LINE_BYTES - len(line)]
                self.add(bytes(line))
                line.clear()
            line += rest[: MAX_LINE_BYTES - len(line)]
            await asyncio.sleep(0)
        if line:
            self.add(bytes(line))

    def add(self, untrusted_line: bytes) -> None:
        """Keep one line."""
        self._lines.append(visible(untrusted_line.removesuffix(b"\r").decode("utf-8", "replace")))
