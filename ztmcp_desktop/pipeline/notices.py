"""Notifications of clients: checked, limited, recorded, and passed on to servers that run."""

from collections import OrderedDict

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject, canonical
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import SessionId
from ztmcp_desktop.domain.proof import Authenticated
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.ports import Clock, Ledger, Lockdown, Stage, Upstreams

MAX_NOTICE_BYTES = 64 * 1024
MAX_NOTICES_PER_S = 20
MAX_COUNTED_SESSIONS = 1024
PREFIX = "notifications/"
_UNTOUCHED = frozenset({"progressToken", "requestId"})


class Notices:
    """Lets a notification pass that its client may send; drops all others without a word."""

    def __init__(  # noqa: PLR0913 - the ports it stands on, wired once
        self,
        *,
        checks: tuple[Stage, ...],
        recorder: Recorder,
        masker: Masker,
        ledger: Ledger,
        lockdown: Lockdown,
        clock: Clock,
    ) -> None:
        self._checks = checks
        self._recorder = recorder
        self._masker = masker
        self._ledger = ledger
        self._lockdown = lockdown
        self._clock = clock
        self._counts: OrderedDict[SessionId, tuple[int, int]] = OrderedDict()

    async def pass_on(self, call: Call, upstreams: Upstreams) -> None:
        """Check the notification that `call` stands for, record it, mask it, and hand it to the server.

        Raises:
            Denial: it is not let through, and counted in the ledger; nobody waits for an answer.
        """
        try:
            await self._checked(call)
        except Denial as denial:
            await self._ledger.reject(dropped(call, denial), f"notice-{denial.code.value}")
            raise
        await upstreams.notify(call.principal, call.server, call.method, self._masked(call))

    async def _checked(self, call: Call) -> None:
        self._refuse_if_locked()
        self._count(call.principal.session)
        if len(canonical(call.params)) > MAX_NOTICE_BYTES:
            raise Denial(Code.TOO_LARGE, "the notification is too large")
        if not call.method.startswith(PREFIX):
            # A request without an id, which a careless server may carry out, although nobody was asked about it.
            raise Denial(Code.NOT_PERMITTED, "a notification's name begins with notifications/")
        for stage in self._checks:
            call = await stage(call)
        if call.proof(Authenticated).unlike:
            # A call of it would be asked about; nobody is asked about a notification.
            raise Denial(Code.NOT_PERMITTED, "another program than before uses this token")
        await self._ledger.append(self._recorder.notice(call))
        self._refuse_if_locked()

    def _refuse_if_locked(self) -> None:
        if self._lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything is locked")

    def _masked(self, call: Call) -> JsonObject:
        kept = {key: call.params[key] for key in _UNTOUCHED & call.params.keys()}
        said = {key: value for key, value in call.params.items() if key not in kept}
        masked, _ = self._masker.mask_value(call.principal.session, call.server, said)
        return {**masked, **kept}

    def _count(self, session: SessionId) -> None:
        second = int(self._clock.monotonic())
        last, count = self._counts.pop(session, (second, 0))
        count = count + 1 if last == second else 1
        self._counts[session] = (second, count)
        while len(self._counts) > MAX_COUNTED_SESSIONS:
            self._counts.popitem(last=False)
        if count > MAX_NOTICES_PER_S:
            raise Denial(Code.TOO_LARGE, "too many notifications in one second")


def dropped(call: Call, denial: Denial) -> Draft:
    """The row of a notification that did not pass."""
    return Draft(
        kind=EntryKind.REJECTED,
        client=call.principal.client,
        server=call.server,
        outcome=Outcome.DENIED,
        code=denial.code,
    )
