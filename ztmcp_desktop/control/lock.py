"""Lockdown: one gesture that stops everything, and stays after a restart."""

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.ports import StateStore

RECORD = "lock"


class StoredLockdown:
    """Implements `ports.Lockdown`. A record that cannot be trusted counts as locked."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._locked = self._stored()

    @property
    def locked(self) -> bool:
        return self._locked

    def lock(self) -> None:
        """Let nothing pass from now on, then write that down. Raises as `StateStore.save`."""
        self._locked = True
        self._state.save(RECORD, {"locked": True})

    def unlock(self) -> None:
        """Write down that calls may pass, then let them. Raises as `StateStore.save`."""
        self._state.save(RECORD, {"locked": False})
        self._locked = False

    def _stored(self) -> bool:
        try:
            record = self._state.load(RECORD)
        except Denial:
            return True
        return record is not None and record.get("locked") is not False


class Lock:
    """The verbs `lock` and `unlock`."""

    def __init__(self, parts: PlaneParts, lockdown: StoredLockdown) -> None:
        self._parts = parts
        self._lockdown = lockdown

    def verbs(self) -> Verbs:
        return {"lock": Verb(do=self.lock), "unlock": Verb(do=self.unlock, proposes=self._unlocking)}

    async def lock(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        try:
            self._lockdown.lock()
        finally:
            # Even if it cannot be written down: what runs is stopped.
            await self._parts.flight.abort(lambda _call: True)
            await self._parts.upstreams.stop()
        await self._parts.ledger.append(Draft(kind=EntryKind.LOCK, subject="lock"))
        return {"locked": True}

    async def unlock(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        if self._lockdown.locked:
            await self._parts.ledger.append(Draft(kind=EntryKind.LOCK, subject="unlock"))
            self._lockdown.unlock()
        return {"locked": False}

    async def _unlocking(self, untrusted: JsonObject) -> Widening | None:
        Arguments.of(untrusted)
        if not self._lockdown.locked:
            return None
        return Widening(title="Unlock", sentence="Calls may pass again, under the rules as they are.", facts=())
