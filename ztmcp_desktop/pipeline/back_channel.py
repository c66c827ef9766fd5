"""What a server says while its call runs is masked like its answer."""

from dataclasses import dataclass, replace

from ztmcp_desktop.domain.call import Call, Channel
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.proof import Injected
from ztmcp_desktop.pipeline.mask_result import without_echoes
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.ports import ServerBook

MAX_NOTICES_A_CALL = 10_000
_UNTOUCHED = frozenset({"progressToken", "requestId", "level", "uri"})


class WithMaskedChannel:
    """Puts the masker between the server and the way back to the client, before anything is sent."""

    def __init__(self, masker: Masker, servers: ServerBook) -> None:
        self._masker = masker
        self._servers = servers

    async def __call__(self, call: Call) -> Call:
        call.proof(Injected)
        # Echoes of secrets go in any case; only personal data may be let through.
        masker = self._masker if self._servers.get(call.server).mask_results else None
        return replace(call, channel=_MaskedChannel(call=call, channel=call.channel, masker=masker))


@dataclass(slots=True, kw_only=True)
class _MaskedChannel:
    call: Call
    channel: Channel
    masker: Masker | None
    count: int = 0

    async def notify(self, method: str, params: JsonObject | None) -> None:
        self.count += 1
        if self.count > MAX_NOTICES_A_CALL:
            return
        await self.channel.notify(method, self._masked(params))

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        if self.count > MAX_NOTICES_A_CALL:
            raise Denial(Code.TOO_LARGE, "the server asked too much during one call")
        return await self.channel.request(method, self._masked(params))

    def _masked(self, params: JsonObject | None) -> JsonObject | None:
        if params is None:
            return None
        secrets = self.call.outbound.open().secrets if self.call.outbound else {}
        said = {key: value for key, value in params.items() if key not in _UNTOUCHED}
        changed, _ = without_echoes(said, secrets)
        if self.masker is not None:
            changed, _ = self.masker.mask_value(self.call.principal.session, self.call.server, changed)
        # What is left untouched tells calls and levels apart, so a secret in it cannot be replaced: it is dropped.
        kept = {key: params[key] for key in _UNTOUCHED & params.keys() if not without_echoes(params[key], secrets)[1]}
        return {**kept, **changed}


class NoChannel:
    """The way back from a notification: there is none."""

    async def notify(self, method: str, params: JsonObject | None) -> None:
        return

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        raise Denial(Code.SERVER_UNAVAILABLE, "a notification has no way back")
