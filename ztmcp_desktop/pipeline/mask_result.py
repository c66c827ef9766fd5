"""Stage 12: sensitive data in the answer becomes stand-ins, and echoes of injected secrets are removed."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject, map_strings
from ztmcp_desktop.domain.names import SecretName
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.domain.proof import Forwarded, Identified, Kinds, MaskedResult, Screened
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.schema import Schemas
from ztmcp_desktop.ports import ServerBook

MAX_INLINE_BYTES = 64 * 1024
MIN_SECRET_CHARS = 4
MIN_ENCODED_CHARS = 8


class MaskResult:
    """Masks what the server answered, unless the person switched that off for it; echoes go in any case."""

    def __init__(self, masker: Masker, servers: ServerBook, schemas: Schemas) -> None:
        self._masker = masker
        self._servers = servers
        self._schemas = schemas

    async def __call__(self, call: Call) -> Call:
        call.proof(Screened)
        if call.reply is None or call.outbound is None:
            raise Denial(Code.GATEWAY_FAULT, "there is no answer to mask")
        secrets = call.outbound.open().secrets
        masked = self._servers.get(call.server).mask_results
        large = call.proof(Forwarded).size_bytes > MAX_INLINE_BYTES
        work = (call, call.reply.body, secrets, masked)
        body, kinds, echoes = await asyncio.to_thread(self._changed, *work) if large else self._changed(*work)
        if kinds or echoes:
            self._check(call, body)
        return call.with_reply(Reply(body=body, is_error=call.reply.is_error)).proved(
            MaskedResult(kinds=kinds, echoes=echoes)
        )

    def _changed(
        self, call: Call, body: JsonObject, secrets: Mapping[str, str], masked: bool
    ) -> tuple[JsonObject, Kinds, tuple[SecretName, ...]]:
        body, echoes = without_echoes(body, secrets)
        if not masked:
            return body, (), echoes
        changed, kinds = self._masker.mask_value(call.principal.session, call.server, body)
        return changed, kinds, echoes

    def _check(self, call: Call, body: JsonObject) -> None:
        """Structured content must still be what the tool's output schema promises to the client."""
        pin = call.proof(Identified).pin
        schema = pin.item.get("outputSchema") if pin.kind is ItemKind.TOOL else None
        if schema is None or "structuredContent" not in body:
            return
        if self._schemas.mismatch(pin.digest, "outputSchema", schema, body["structuredContent"]) is not None:
            raise Denial(Code.BLOCKED_CONTENT, f"the masked answer of {pin.name} no longer fits its output schema")


def without_echoes(value: Json, secrets: Mapping[str, str]) -> tuple[Json, tuple[SecretName, ...]]:
    """`value` with each form of each secret replaced by its placeholder, and the names of those that were found."""
    forms = {form: name for name, secret in secrets.items() for form in _forms(secret)}
    if not forms:
        return value, ()
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    found: dict[SecretName, None] = {}

    def placeholder(match: re.Match[str]) -> str:
        name = forms[match[0]]
        found.setdefault(SecretName(name))
        return f"{{{{secret:{name}}}}}"

    return map_strings(value, lambda text: pattern.sub(placeholder, text)), tuple(found)


def _forms(secret: str) -> set[str]:
    """How a secret may be written: as it is, escaped, percent-encoded, in hexadecimal, in base64 at any offset."""
    if len(secret) < MIN_SECRET_CHARS:
        return set()
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= {quote(secret, safe="", errors="replace"), quote(secret, errors="replace")}
    forms |= {quote_plus(secret, errors="replace"), secret[::-1]}
    forms |= {raw.hex(), raw.hex().upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            padded = b"\0" * offset + raw
            whole = encode(padded[: len(padded) - len(padded) % 3]).decode()
            inner = whole[4:] if offset else whole
            if len(inner) >= MIN_ENCODED_CHARS:
                forms.add(inner)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        full = encode(raw).decode()
        forms |= {full, full.rstrip("=")}
    return {form for form in forms if len(form) >= MIN_SECRET_CHARS}
