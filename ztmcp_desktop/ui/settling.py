"""When a window has been still long enough for a click in it to be meant."""

import time
from collections.abc import Callable


class Settling:
    """Calm once `settle_ms` have passed since the last disturbance; never calm before the first."""

    def __init__(self, settle_ms: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_ms / 1000
        self._monotonic = monotonic
        self._since_s: float | None = None

    def disturb(self) -> None:
        """Something appeared, moved or changed."""
        self._since_s = self._monotonic()

    @property
    def calm(self) -> bool:
        """Whether nothing has moved for long enough."""
        return self._since_s is not None and self._monotonic() - self._since_s >= self._settle_s

    @property
    def remaining_ms(self) -> int:
        """Milliseconds until it is calm if nothing disturbs it, at least 1; the whole time before the first."""
        passed_s = 0.0 if self._since_s is None else self._monotonic() - self._since_s
        return max(1, round((self._settle_s - passed_s) * 1000) + 1)
