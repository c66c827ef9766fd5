"""What a consent is to: the digest that binds a yes to one client, server, pin, limits and exact parameters."""

import re

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import Digest, SecretName
from ztmcp_desktop.domain.proof import Identified
from ztmcp_desktop.domain.server import Server

PURPOSE = "consent"
_PROTOCOL_META = "io.modelcontextprotocol/"
_VOLATILE_META = frozenset({"progressToken", "traceparent", "tracestate", "baggage"})
_PLACEHOLDER = re.compile(r"\{\{secret:([^{}]{1,64})\}\}")


def shown_params(call: Call) -> JsonObject:
    """The parameters as the person is shown them: all but what the protocol itself adds to `_meta`."""
    params = dict(call.params)
    untrusted_meta = params.pop("_meta", None)
    if isinstance(untrusted_meta, dict):
        kept = {
            key: value
            for key, value in untrusted_meta.items()
            if key not in _VOLATILE_META and not key.startswith(_PROTOCOL_META)
        }
        if kept:
            params["_meta"] = kept
    elif untrusted_meta is not None:
        params["_meta"] = untrusted_meta
    return params


def consent_digest(call: Call, server: Server, digester: Digester) -> Digest:
    """The keyed digest of all that a yes to this call covers."""
    return digester.of(
        PURPOSE,
        {
            "client": call.principal.client,
            "server": server.terms(),
            "method": call.method,
            "pin": call.proof(Identified).pin.digest,
            "params": shown_params(call),
        },
    )


def placeholder_name(value: Json) -> SecretName | None:
    """The secret that `value` stands for, if it is a string that is nothing but `{{secret:NAME}}`."""
    if not isinstance(value, str):
        return None
    found = _PLACEHOLDER.fullmatch(value)
    return SecretName(found[1]) if found else None


def placeholders(value: Json) -> tuple[SecretName, ...]:
    """Every secret named by a placeholder in `value`, each once, in order."""
    match value:
        case dict():
            inside = [name for item in value.values() for name in placeholders(item)]
        case list():
            inside = [name for item in value for name in placeholders(item)]
        case _:
            name = placeholder_name(value)
            inside = [name] if name else []
    return tuple(dict.fromkeys(inside))
