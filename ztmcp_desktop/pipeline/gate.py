"""The gate: the frame around every call. No row, no call; no closing row, no answer."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.ledger import Draft
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.risk import Action
from ztmcp_desktop.domain.subscription import LISTEN
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.ports import Clock, Ledger, Lockdown, Stage

MAX_CALLS_IN_FLIGHT = 512
MAX_CALLS_A_CLIENT = 128
logger = logging.getLogger(__name__)


class OnRecord:
    """Where the opening row must be on disk. The stages before it look at the call while the row is written."""


ON_RECORD = OnRecord()
Chain = tuple[Stage | OnRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """The stages of each kind of call, in order. A chain without `ON_RECORD` begins with it."""

    full: Chain
    listing: Chain
    to_client: Chain
    standing: Chain = ()

    def of(self, call: Call) -> Chain:
        """The chain for this call; whatever is not known to be a list goes the whole way."""
        if call.direction is Direction.TO_CLIENT:
            return self.to_client
        if call.method == LISTEN and call.era is Era.MODERN:
            return self.standing
        return self.listing if call.action is Action.LIST else self.full


class CallGate:
    """Runs a call through its chain, recorded before and after; implements `ports.Gate` for requests."""

    def __init__(self, *, chains: Chains, recorder: Recorder, ledger: Ledger, lockdown: Lockdown, clock: Clock) -> None:
        self._chains = chains
        self._recorder = recorder
        self._ledger = ledger
        self._lockdown = lockdown
        self._clock = clock
        self._running: dict[asyncio.Future[Reply], Call] = {}

    async def run(self, call: Call) -> Reply:
        if len(self._running) >= MAX_CALLS_IN_FLIGHT or self._held_by(call) >= MAX_CALLS_A_CLIENT:
            await self._ledger.reject(self._recorder.refused(call, Code.SERVER_UNAVAILABLE), "too-many-calls")
            raise Denial(Code.SERVER_UNAVAILABLE, "too many calls are in flight", Retry.LATER)
        framed = asyncio.ensure_future(self._framed(call))
        self._running[framed] = call
        # Held until it is closed, whoever gives up waiting for that.
        framed.add_done_callback(lambda done: self._running.pop(done, None))
        try:
            await asyncio.wait({framed})
            return framed.result()
        except asyncio.CancelledError:
            await self._end(framed)
            raise

    def in_flight(self) -> int:
        """How many calls are being worked on."""
        return len(self._running)

    async def abort(self, which: Callable[[Call], bool]) -> None:
        """End the calls that match; returns when they are closed in the ledger. Used by lockdown and revocation."""
        matching = [framed for framed, call in self._running.items() if which(call)]
        await asyncio.gather(*(self._end(framed) for framed in matching))

    def _held_by(self, call: Call) -> int:
        return sum(1 for running in self._running.values() if running.principal.client == call.principal.client)

    async def _end(self, framed: asyncio.Future[Reply]) -> None:
        framed.cancel()
        await asyncio.wait({framed})
        if not framed.cancelled():
            framed.exception()  # looked at, so that nobody is told that it was not

    async def _framed(self, call: Call) -> Reply:
        began_s = self._clock.monotonic()
        row = asyncio.ensure_future(self._ledger.append(self._opening(call)))
        progress = [call]
        denial: Denial | None = None
        try:
            await self._stages(progress, row)
        except Denial as refused:
            denial = refused
        except asyncio.CancelledError:
            denial = self._given_up()
        except Exception as fault:  # noqa: BLE001 - the gate: whatever went wrong, the answer is no
            logger.error("call %s failed in %s", call.id, type(fault).__name__)  # noqa: TRY400 - no values in logs
            denial = Denial(Code.GATEWAY_FAULT, "ztmcp failed while checking this call, so it was not let through")
        self._end_what_was_asked_in(progress[-1])
        # Of what could not be opened nothing was done, so there is nothing to close.
        await _written(row)
        await self._close(progress[-1], denial, round((self._clock.monotonic() - began_s) * 1000))
        reply = progress[-1].reply
        if denial is not None:
            raise denial
        if reply is None:
            raise Denial(Code.GATEWAY_FAULT, "the call ended without an answer")
        return reply

    def _end_what_was_asked_in(self, call: Call) -> None:
        """A server's requests go the way of the call that they belong to; with it gone, nobody hears the answer."""
        if call.direction is Direction.TO_CLIENT:
            return
        for framed, other in self._running.items():
            if other.direction is Direction.TO_CLIENT and other.channel is call.channel:
                framed.cancel()

    def _opening(self, call: Call) -> Draft:
        try:
            return self._recorder.opened(call)
        except Exception as fault:  # noqa: BLE001 - the gate: what cannot be recorded is not done
            raise self._unrecorded(call, fault) from None

    async def _close(self, call: Call, denial: Denial | None, duration_ms: int) -> None:
        """Write the closing row; where it cannot be, a bare one, so that no server's answer keeps a call open."""
        try:
            await self._append(self._recorder.closed(call, denial, duration_ms))
        except Exception as fault:  # noqa: BLE001 - the gate: an ending that is not on record lets nothing out
            bare = self._unrecorded(call, fault)
            await self._append(self._recorder.bare(call, bare, duration_ms))
            raise bare from None

    async def _append(self, draft: Draft) -> None:
        await _written(asyncio.ensure_future(self._ledger.append(draft)))

    @staticmethod
    def _unrecorded(call: Call, fault: Exception) -> Denial:
        if isinstance(fault, Denial):
            return fault
        logger.error("call %s could not be put on record, which failed in %s", call.id, type(fault).__name__)
        return Denial(Code.GATEWAY_FAULT, "the call could not be put on record, so nothing of it was let through")

    async def _stages(self, progress: list[Call], row: asyncio.Future[int]) -> None:
        if self._lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything is locked; the person can unlock it in ztmcp")
        call = progress[0]
        chain = self._chains.of(call)
        if ON_RECORD not in chain:
            await asyncio.shield(row)
        for stage in chain:
            if isinstance(stage, OnRecord):
                await asyncio.shield(row)
                continue
            call = await stage(call)
            progress[:] = [call]
        if self._lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything was locked while this call ran")
        if call.reply is None:
            raise Denial(Code.GATEWAY_FAULT, "the call ended without an answer")

    def _given_up(self) -> Denial:
        if self._lockdown.locked:
            return Denial(Code.LOCKED_DOWN, "everything was locked while this call ran")
        return Denial(Code.WITHDRAWN, "the client gave up, or its access was ended")


async def _written(row: asyncio.Future[int]) -> None:
    """Wait for a row whatever comes, so that no call stays half recorded.

    Raises:
        Denial: it could not be written.
    """
    while not row.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({row})
    row.result()
