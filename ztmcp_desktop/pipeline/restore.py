"""Stage 3: stand-ins are turned back, so that every later stage judges the real values."""

import asyncio

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.domain.names import ServerName, SessionId
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.domain.proof import Identified, Restored
from ztmcp_desktop.pipeline.schema import Schemas
from ztmcp_desktop.pipeline.surrogates import Surrogates
from ztmcp_desktop.ports import Stage
from ztmcp_desktop.scan.size import is_large

MAX_INLINE_BYTES = 64 * 1024


class Restore:
    """Turns back the stand-ins of this server and session, and checks a tool's arguments against its pinned schema.

    An address with a stand-in in it is another one when that is turned back, so it is identified anew by `identify`.
    """

    def __init__(self, surrogates: Surrogates, schemas: Schemas, identify: Stage | None = None) -> None:
        self._surrogates = surrogates
        self._schemas = schemas
        self._identify = identify

    async def __call__(self, call: Call) -> Call:
        identified = call.proof(Identified)
        if not isinstance(call.params.get("arguments", {}), dict):
            raise Denial(Code.SCHEMA_MISMATCH, "the arguments must be an object", Retry.DIFFERENT)
        kinds: dict[str, int] = {}
        session, server = call.principal.session, identified.server
        restored = call.with_arguments(self._restored(session, server, call.arguments, kinds))
        if "requestState" in restored.params:
            # A server gets back, byte by byte, what it gave; in the answer that carried it, it was masked.
            state = self._restored(session, server, restored.params["requestState"], kinds)
            restored = restored.with_params({**restored.params, "requestState": state})
        if restored.subject != identified.subject:
            if self._identify is None:
                raise Denial(Code.GATEWAY_FAULT, "what is asked for is not what was identified")
            restored = await self._identify(restored)
        await self._check(restored, restored.proof(Identified))
        return restored.proved(Restored(kinds=tuple(sorted(kinds.items()))))

    def _restored(self, session: SessionId, server: ServerName, value: Json, kinds: dict[str, int]) -> Json:
        match value:
            case str():
                text, found = self._surrogates.restore(session, server, value)
                for kind, count in found:
                    kinds[kind] = kinds.get(kind, 0) + count
                return text
            case list():
                return [self._restored(session, server, item, kinds) for item in value]
            case dict():
                return {key: self._restored(session, server, item, kinds) for key, item in value.items()}
            case _:
                return value

    async def _check(self, call: Call, identified: Identified) -> None:
        pin = identified.pin
        if pin.kind is not ItemKind.TOOL:
            return
        arguments, schema = call.arguments, pin.item.get("inputSchema")
        if schema is None:
            return
        if is_large(arguments, MAX_INLINE_BYTES):
            why = await asyncio.to_thread(self._schemas.mismatch, pin.digest, "inputSchema", schema, arguments)
        else:
            why = self._schemas.mismatch(pin.digest, "inputSchema", schema, arguments)
        if why is not None:
            raise Denial(Code.SCHEMA_MISMATCH, f"the arguments do not fit {pin.name}: {why}", Retry.DIFFERENT)
