"""What a server says while its call runs is masked like its answer."""

import asyncio
from dataclasses import dataclass

from ztmcp_desktop.domain.call import Call, Channel
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.proof import Injected
from ztmcp_desktop.pipeline.mask_result import without_echoes
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.ports import ServerBook
from ztmcp_desktop.scan.size import is_large

MAX_NOTICES_A_CALL = 10_000
MAX_TOKEN_CHARS = 256
MAX_INLINE_BYTES = 64 * 1024
_NAMES_A_CALL = {"progressToken": "notifications/progress", "requestId": "notifications/cancelled"}
_LEVELS = frozenset({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"})


class WithMaskedChannel:
    """Puts the masker between the server and the way back to the client, before anything is sent."""

    def __init__(self, masker: Masker, servers: ServerBook) -> None:
        self._masker = masker
        self._servers = servers

    async def __call__(self, call: Call) -> Call:
        call.proof(Injected)
        # Echoes of secrets go in any case; only personal data may be let through.
        masker = self._masker if self._servers.get(call.server).mask_results else None
        return call.with_channel(MaskedChannel(call=call, channel=call.channel, masker=masker))


@dataclass(slots=True, kw_only=True)
class MaskedChannel:
    """The way back to a client, on which a server can say neither a secret nor, unless permitted, personal data."""

    call: Call
    channel: Channel
    masker: Masker | None
    count: int = 0

    async def notify(self, method: str, params: JsonObject | None) -> None:
        self.count += 1
        if self.count > MAX_NOTICES_A_CALL:
            return
        await self.channel.notify(method, None if params is None else await self.cleaned(method, params))

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        self.count += 1
        if self.count > MAX_NOTICES_A_CALL:
            raise Denial(Code.TOO_LARGE, "the server asked too much during one call")
        return await self.channel.request(method, None if params is None else await self.cleaned(method, params))

    async def cleaned(self, method: str, params: JsonObject) -> JsonObject:
        """`params` as they may go to the client and into the ledger. What is large is masked off the loop."""
        if is_large(params, MAX_INLINE_BYTES):
            return await asyncio.to_thread(self.masked, method, params)
        return self.masked(method, params)

    def masked(self, method: str, params: JsonObject, known: frozenset[str] = frozenset()) -> JsonObject:
        """As `cleaned`, at once; what is `known` to the client, since it wrote it, stays as it is."""
        secrets = self.call.outbound.open().secrets if self.call.outbound else {}
        plain = {key for key, value in params.items() if key in known or _is_plumbing(method, key, value)}
        said = {key: value for key, value in params.items() if key not in plain}
        changed, _ = without_echoes(said, secrets)
        if self.masker is not None:
            changed, _ = self.masker.mask_value(self.call.principal.session, self.call.server, changed)
        # What is left untouched tells calls and levels apart, so a secret in it cannot be replaced: it is dropped.
        kept = {key: params[key] for key in plain if not without_echoes(params[key], secrets)[1]}
        return {**kept, **changed}


def _is_plumbing(method: str, key: str, value: Json) -> bool:
    """Whether a member tells calls, levels or things apart; then masking would break it, and it can hold little."""
    match key:
        case "progressToken" | "requestId" if method == _NAMES_A_CALL[key]:
            return isinstance(value, int) or (isinstance(value, str) and len(value) <= MAX_TOKEN_CHARS)
        case "level":
            return value in _LEVELS if isinstance(value, str) else False
        case _:
            return False


class NoChannel:
    """The way back from a notification: there is none."""

    async def notify(self, method: str, params: JsonObject | None) -> None:
        return

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        raise Denial(Code.SERVER_UNAVAILABLE, "a notification has no way back")
