"""The one module that imports the MCP SDK; everything of it that we use passes through here.

The SDK takes a second to import, so it is imported where it is first used, or by `load`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.gateway.wire import HEADER_MISMATCH, INVALID_PARAMS, Rejection

# ---- The front door: what 2026-07-28 asks of a request (mcp.shared.inbound, mcp_types) ----

PROTOCOL_VERSION_META = "io.modelcontextprotocol/protocolVersion"
LOG_LEVEL_META = "io.modelcontextprotocol/logLevel"
_PARAM_PREFIX = "mcp-param-"

HeaderPairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a self-contained request says of its client; self-reported, so it decides nothing."""

    capabilities: JsonObject
    log_level: str | None
    client_info: Json


def load() -> None:
    """Import what the front door needs, so that the first request does not wait for it. Slow: call it in a thread."""
    import mcp.shared.inbound  # noqa: F401 - loaded for later
    import mcp_types.version  # noqa: F401 - loaded for later


def handshake_versions() -> tuple[str, ...]:
    """The protocol versions that begin with `initialize`."""
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

    return HANDSHAKE_PROTOCOL_VERSIONS


def require_supported_version(version: str) -> None:
    """Refuse a protocol version that is none of ours with -32022."""
    from mcp.shared.inbound import unsupported_protocol_version_rejection

    refusal = unsupported_protocol_version_rejection(version)
    if refusal is not None:
        raise Rejection(400, refusal.code, refusal.message, data=refusal.data)


def read_envelope(message: JsonObject, headers: HeaderPairs | None) -> Envelope:
    """Check a modern request against its headers (2026-07-28, streamable-http) and give its envelope.

    Without `headers` (2026-07-28, stdio) there is nothing that the body could differ from.

    Raises:
        Rejection: 400 with -32020 where header and body differ or a header occurs twice, -32602 without an envelope,
            -32022 for another version.
    """
    from mcp.shared.inbound import InboundModernRoute, classify_inbound_request

    if headers is not None:
        require_single_routing_headers(headers)
    verdict = classify_inbound_request(message, headers=None if headers is None else dict(headers))
    if not isinstance(verdict, InboundModernRoute):
        raise Rejection(400, verdict.code, verdict.message, data=verdict.data)
    if not isinstance(verdict.client_capabilities, dict):
        raise Rejection(400, INVALID_PARAMS, "the client's capabilities must be an object")
    level = message["params"]["_meta"].get(LOG_LEVEL_META)
    return Envelope(
        capabilities=verdict.client_capabilities,
        log_level=level if isinstance(level, str) else None,
        client_info=verdict.client_info,
    )


def require_single_routing_headers(headers: HeaderPairs) -> None:
    """Refuse a routing header that occurs twice with -32020: first-copy and last-copy readers would differ."""
    from mcp.shared.inbound import find_duplicated_routing_header

    twice = find_duplicated_routing_header(headers)
    if twice is not None:
        raise Rejection(400, HEADER_MISMATCH, f"the header {twice} occurs more than once")


def require_routing_headers_match(message: JsonObject, headers: HeaderPairs) -> None:
    """Refuse a legacy request whose routing headers, which it need not have, contradict its body (-32020)."""
    from mcp.shared.inbound import NAME_BEARING_METHODS, decode_header_value

    require_single_routing_headers(headers)
    given = dict(headers)
    method = message.get("method")
    if "mcp-method" in given and given["mcp-method"] != method:
        raise Rejection(400, HEADER_MISMATCH, "the header Mcp-Method does not match the body's method")
    params = message.get("params", {})
    if "mcp-name" in given:
        key = NAME_BEARING_METHODS.get(str(method))
        if key is None or decode_header_value(given["mcp-name"]) != params.get(key):
            raise Rejection(400, HEADER_MISMATCH, "the header Mcp-Name does not match the body")
    meta = params.get("_meta")
    version = meta.get(PROTOCOL_VERSION_META) if isinstance(meta, dict) else None
    if version is not None and version != given.get("mcp-protocol-version"):
        raise Rejection(400, HEADER_MISMATCH, "the header MCP-Protocol-Version does not match the body")


def require_param_headers_match(schema: Json, arguments: Mapping[str, Json], headers: HeaderPairs) -> None:
    """Refuse a `tools/call` whose `Mcp-Param-*` headers differ from its arguments under the pinned schema (-32020)."""
    from mcp.shared.inbound import validate_mcp_param_headers

    mirrored = [(name, value) for name, value in headers if name.startswith(_PARAM_PREFIX)]
    if len({name for name, _ in mirrored}) != len(mirrored):
        raise Rejection(400, HEADER_MISMATCH, "an Mcp-Param header occurs more than once")
    refusal = validate_mcp_param_headers(schema, arguments, dict(mirrored))
    if refusal is not None:
        raise Rejection(400, refusal.code, refusal.message, data=refusal.data)


def http_status(rpc_code: int) -> int:
    """The HTTP status of a JSON-RPC error on modern connections; 200 where the specification names none."""
    from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS

    return ERROR_CODE_HTTP_STATUS.get(rpc_code, 200)


# ---- Upstreams: the headers of a request that we send, made from its body (2026-07-28, streamable HTTP) ----


def header_fault(input_schema: Json) -> str | None:
    """What no header can be made of in a tool's schema (2026-07-28, server/tools: x-mcp-header), None if nothing."""
    from mcp.shared.inbound import find_invalid_x_mcp_header

    return find_invalid_x_mcp_header(input_schema)


def routing_headers(method: str, params: JsonObject, input_schema: Json) -> dict[str, str]:
    """`Mcp-Method`, `Mcp-Name`, and `Mcp-Param-*` as the tool's `input_schema` wants them, values encoded."""
    from mcp.shared.inbound import NAME_BEARING_METHODS, encode_header_value, mcp_param_headers, x_mcp_header_map

    headers = {"Mcp-Method": encode_header_value(method)}
    name = params.get(NAME_BEARING_METHODS.get(method, ""))
    if isinstance(name, str):
        headers["Mcp-Name"] = encode_header_value(name)
    arguments = params.get("arguments")
    if method == "tools/call" and isinstance(input_schema, dict) and isinstance(arguments, dict):
        headers |= mcp_param_headers(x_mcp_header_map(input_schema), arguments)
    return headers
