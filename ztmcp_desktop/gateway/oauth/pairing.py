"""The time in which programs may register themselves: opened by the person, short, and closed by itself."""

from ztmcp_desktop.ports import Clock

DEFAULT_PAIRING_S = 300.0
MAX_PAIRING_S = 3600.0
MAX_REGISTRATIONS = 8


class PairingTime:
    """Closed at the start; implements `ports.Pairing`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s = float("-inf")
        self._left = 0

    def open(self, seconds: float) -> None:
        self._until_s = self._clock.monotonic() + min(max(seconds, 0.0), MAX_PAIRING_S)
        self._left = MAX_REGISTRATIONS

    def close(self) -> None:
        self._until_s = float("-inf")

    @property
    def left_s(self) -> float:
        return max(0.0, self._until_s - self._clock.monotonic()) if self._left else 0.0

    def take(self) -> bool:
        if self.left_s <= 0:
            return False
        self._left -= 1
        return True
