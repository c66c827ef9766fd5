"""Counts what a server sends unasked: what was dropped, by kind, and whether it is a flood."""

import asyncio

from ztmcp_desktop.gateway.link import Noise

MAX_UNASKED = 5000
UNASKED_WINDOW_S = 10.0


class Meter:
    """Of one conversation."""

    def __init__(self) -> None:
        self.noise: dict[Noise, int] = {}
        self._unasked = 0
        self._window_from = 0.0

    def dropped(self, kind: Noise) -> int:
        """One more of this kind was dropped; gives how many by now."""
        self.noise[kind] = self.noise.get(kind, 0) + 1
        return self.noise[kind]

    def is_flooded(self) -> bool:
        """One more came unasked; whether that is more than `MAX_UNASKED` in `UNASKED_WINDOW_S`."""
        now = asyncio.get_running_loop().time()
        if now - self._window_from > UNASKED_WINDOW_S:
            self._window_from, self._unasked = now, 0
        self._unasked += 1
        return self._unasked > MAX_UNASKED
