"""What servers say outside of calls, on its way to a client: checked, screened, masked, recorded."""

import asyncio
from dataclasses import replace

from ztmcp_desktop.domain.call import Call, Direction
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject, canonical
from ztmcp_desktop.domain.risk import Action
from ztmcp_desktop.domain.subscription import LISTS, SUBSCRIBE, UPDATED
from ztmcp_desktop.pipeline.back_channel import MaskedChannel, NoChannel
from ztmcp_desktop.pipeline.forward import OUR_META
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.notices import PREFIX, dropped
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.pipeline.screen import MARK, Blocks, signs_in
from ztmcp_desktop.ports import Ledger, Lockdown, ServerBook, Stage

MAX_NOTICE_BYTES = 64 * 1024
MAX_INLINE_BYTES = 8 * 1024


class Outward:
    """Lets a notification pass to a client that may still ask for what it is about; drops all others.

    `listing` are the stages of a list, `others` those of anything else, up to the judgement.
    """

    def __init__(  # noqa: PLR0913 - the ports it stands on, wired once
        self,
        *,
        listing: tuple[Stage, ...],
        others: tuple[Stage, ...],
        blocks: Blocks,
        masker: Masker,
        servers: ServerBook,
        recorder: Recorder,
        ledger: Ledger,
        lockdown: Lockdown,
    ) -> None:
        self._listing = listing
        self._others = others
        self._blocks = blocks
        self._masker = masker
        self._servers = servers
        self._recorder = recorder
        self._ledger = ledger
        self._lockdown = lockdown

    async def cleaned(self, call: Call, plain: frozenset[str]) -> JsonObject | None:
        """The parameters as the client may have them, in the ledger by then; None where it must not hear of it.

        The members in `plain` are those that the client wrote itself; they come back to it as they were.
        """
        try:
            return await self._passed(call, plain)
        except Denial as denial:
            await self._ledger.reject(dropped(call, denial), f"told-{denial.code.value}")
            return None

    async def _passed(self, call: Call, plain: frozenset[str]) -> JsonObject:
        self._refuse_if_locked()
        if call.direction is not Direction.TO_CLIENT or not call.method.startswith(PREFIX):
            raise Denial(Code.NOT_PERMITTED, "a notification's name begins with notifications/")
        size_bytes = len(canonical(call.params))
        if size_bytes > MAX_NOTICE_BYTES:
            raise Denial(Code.TOO_LARGE, "the notification is too large")
        asked = _asked_for(call)
        for stage in self._listing if asked.action is Action.LIST else self._others:
            asked = await stage(asked)
        # Large ones take longer to look through than others may wait.
        work = (asked, call, plain)
        params = await asyncio.to_thread(self._safe, *work) if size_bytes > MAX_INLINE_BYTES else self._safe(*work)
        await self._ledger.append(self._recorder.notice(replace(call, params=params)))
        self._refuse_if_locked()
        return params

    def _safe(self, asked: Call, call: Call, plain: frozenset[str]) -> JsonObject:
        signs = signs_in(call.params)
        if signs and self._blocks(asked, signs):
            raise Denial(Code.BLOCKED_CONTENT, f"a rule blocks what has these signs: {', '.join(signs)}")
        masker = self._masker if self._servers.get(call.server).mask_results else None
        params = MaskedChannel(call=call, channel=NoChannel(), masker=masker).masked(call.method, call.params, plain)
        untrusted_meta = params.pop("_meta", {})
        meta = {k: v for k, v in untrusted_meta.items() if not k.startswith(OUR_META)} if untrusted_meta else {}
        if signs:
            meta[MARK] = list(signs)
        return {**params, **({"_meta": meta} if meta else {})}

    def _refuse_if_locked(self) -> None:
        if self._lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything is locked")


def _asked_for(call: Call) -> Call:
    """The request to which this is an answer of sorts: who may not make it may not hear of it either."""
    params: JsonObject = {}
    match call.method:
        case method if method in LISTS:
            method = LISTS[method]
        case "notifications/message":
            method = "logging/setLevel"
        case method if method == UPDATED:
            method, params = SUBSCRIBE, {"uri": call.params.get("uri")}
        case method:
            params = call.params
    return replace(call, method=method, params=params, direction=Direction.TO_SERVER)
