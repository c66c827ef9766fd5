"""Where a client's conversations with servers are kept: one for each era and set of capabilities, few in all."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.supervisor import Upstream

MAX_UPSTREAMS = 128
MAX_FACES = 4
"""A client may have this many conversations with one server at once, each in another era or with other capabilities."""


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one conversation."""

    upstream: Upstream | None = None
    starting: asyncio.Task[Upstream] | None = None
    failures: int = 0
    not_before: float = 0.0
    users: int = 0

    @property
    def up(self) -> bool:
        """Whether calls may be sent."""
        return self.upstream is not None and self.upstream.up

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with it."""
        talk = self.upstream.talk if self.upstream else None
        watched = self.upstream is not None and self.upstream.hearing.watched
        return self.users == 0 and self.starting is None and not watched and not (talk and talk.connection.busy)


@dataclass(slots=True, eq=False)
class Slots:
    """All slots, the one used longest ago first."""

    _slots: dict[Key, Slot] = field(default_factory=dict)

    def matching(self, client: ClientName | None, server: ServerName | None) -> Iterator[Slot]:
        """The slots of a client and a server; None matches all."""
        for key in self._keys(client, server):
            yield self._slots[key]

    def get(self, key: Key) -> Slot | None:
        """The slot of exactly this key, if there is one."""
        return self._slots.get(key)

    def take(self, client: ClientName | None, server: ServerName | None) -> list[Slot]:
        """As `matching`, and forget them."""
        return [self._slots.pop(key) for key in self._keys(client, server)]

    def use(self, key: Key) -> tuple[Slot, Slot | None]:
        """The slot of this key, made if there is none, and the one that had to make room for it.

        Raises:
            Denial: every conversation that could make room is in use (`server-unavailable`).
        """
        if (slot := self._slots.pop(key, None)) is not None:
            self._slots[key] = slot
            return slot, None
        displaced = self._displaced(key)
        if len(self._slots) >= MAX_UPSTREAMS:
            self._slots = {k: s for k, s in self._slots.items() if s.starting or s.up}
        if len(self._slots) >= MAX_UPSTREAMS:
            raise Denial(Code.SERVER_UNAVAILABLE, f"{MAX_UPSTREAMS} servers are running already", Retry.LATER)
        slot = self._slots[key] = Slot()
        return slot, displaced

    def _displaced(self, key: Key) -> Slot | None:
        faces = self._keys(key.client, key.server)
        if len(faces) < MAX_FACES:
            return None
        idle = next((face for face in faces if self._slots[face].idle), None)
        if idle is None:
            raise Denial(
                Code.SERVER_UNAVAILABLE,
                f"{MAX_FACES} conversations of this client with this server are in use already",
                Retry.LATER,
            )
        return self._slots.pop(idle)

    def _keys(self, client: ClientName | None, server: ServerName | None) -> list[Key]:
        return [key for key in self._slots if client in {None, key.client} and server in {None, key.server}]


def seen(task: asyncio.Task[Upstream]) -> None:
    """Take note of how a start ended, for when nobody waited for it."""
    # The failure was told to whoever waited; without anybody it is no news.
    if not task.cancelled():
        task.exception()


async def joined(starting: asyncio.Task[Upstream]) -> Upstream:
    """Wait for a start that others wait for too; whoever gives up does not end it.

    Raises:
        Denial: it failed, or the server was stopped meanwhile.
    """
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        if starting.cancelled():
            raise stopped() from None
        raise


async def end_slot(slot: Slot) -> None:
    """End what runs in this slot, or is starting."""
    if slot.starting is not None:
        await asyncio.wait({slot.starting})
    if slot.upstream is not None:
        await slot.upstream.close(stopped())


def stopped() -> Denial:
    """The refusal where a server was ended by us."""
    return Denial(Code.SERVER_UNAVAILABLE, "the server was stopped", Retry.LATER)
