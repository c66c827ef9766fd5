"""The time of this machine."""

import asyncio
import time
from datetime import UTC, datetime

# CLOCK_BOOTTIME goes on while the machine sleeps; CLOCK_MONOTONIC of Linux does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
MAX_NAP_S = 60.0


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(_CLOCK)

    async def sleep(self, seconds: float) -> None:
        # The loop's own timer stands still while the machine sleeps, so a long wait is made of short ones.
        due_s = self.monotonic() + seconds
        while (left_s := due_s - self.monotonic()) > 0:  # noqa: ASYNC110 - a clock has no event to wait for
            await asyncio.sleep(min(left_s, MAX_NAP_S))
