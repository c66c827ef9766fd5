"""What a consent is to: the digest that binds a yes to one client, server, pin, limits and exact parameters."""

import re
from collections.abc import Callable

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import Digest, SecretName
from ztmcp_desktop.domain.proof import Identified
from ztmcp_desktop.domain.server import Server

PURPOSE = "consent"
_PROTOCOL_META = "io.modelcontextprotocol/"
_SELF_REPORTED = ("protocolVersion", "clientCapabilities", "clientInfo", "logLevel")
_ENVELOPE = frozenset(_PROTOCOL_META + key for key in _SELF_REPORTED)
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JUDGED = frozenset({"name", "arguments", "_meta"})
_ROUND_TRIP = frozenset({"inputResponses", "requestState"})
_NAMING_METHODS = frozenset({"tools/call", "prompts/get"})
_PLACEHOLDER = re.compile(r"\{\{secret:([^{}]{1,64})\}\}")


def shown_params(call: Call) -> JsonObject:
    """The parameters as the person is shown them: all that is sent but a progress token and a trace parent.

    Neither of those carries words: our own token is put in the place of the client's, and a trace parent has one
    fixed form (W3C Trace Context, 3.2). All else in `_meta` could, `baggage` and `tracestate` too.
    """
    return _with_meta(call, lambda key, value: key not in _ENVELOPE and not _is_plumbing(key, value))


def sent_params(call: Call) -> JsonObject:
    """The parameters that may leave: those shown, with the progress token and the trace parent.

    What a client says of itself in an envelope is not passed on; the gateway speaks for itself.
    """
    return _with_meta(call, lambda key, _: key not in _ENVELOPE)


def unjudged(call: Call) -> tuple[str, ...]:
    """The members of the parameters that are sent although no stage before the consent looks into them."""
    if call.method not in _NAMING_METHODS:
        return ()
    return tuple(sorted(call.params.keys() - _JUDGED - _ROUND_TRIP))


def _with_meta(call: Call, keep: Callable[[str, Json], bool]) -> JsonObject:
    untrusted_meta = call.params.get("_meta")
    if not isinstance(untrusted_meta, dict):
        return dict(call.params)
    params = {key: value for key, value in call.params.items() if key != "_meta"}
    kept = {key: value for key, value in untrusted_meta.items() if keep(key, value)}
    return {**params, "_meta": kept} if kept else params


def _is_plumbing(key: str, value: Json) -> bool:
    match key, value:
        case "progressToken", bool():
            return False
        case "progressToken", str() | int():
            return True
        case "traceparent", str():
            return _TRACE_PARENT.fullmatch(value) is not None
        case _:
            return False


def consent_digest(call: Call, server: Server, digester: Digester) -> Digest:
    """The keyed digest of all that a yes to this call covers."""
    return digester.of(
        PURPOSE,
        {
            "client": call.principal.client,
            "server": server.terms(),
            "method": call.method,
            "direction": call.direction.value,
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
