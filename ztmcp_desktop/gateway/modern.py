"""The 2026-07-28 era: each message is a whole request, checked against its headers where it has any."""

from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era, ItemKind
from ztmcp_desktop.domain.subscription import LISTEN, SUBSCRIBE, SUBSCRIPTION_ID, UNSUBSCRIBE
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.answers import send_bytes, send_text
from ztmcp_desktop.gateway.calls import Arrival, Calls, Framing, claimed_name
from ztmcp_desktop.gateway.intake import one
from ztmcp_desktop.gateway.wire import INVALID_REQUEST, METHOD_NOT_FOUND, Rejection, RequestId, request_id
from ztmcp_desktop.ports import Catalogue

# Methods of the handshake era alone; what 2026-07-28 never had, it answers with 404 (streamable-http).
_REMOVED = frozenset({SUBSCRIBE, UNSUBSCRIBE})


class ModernDoor:
    """Serves requests whose `MCP-Protocol-Version` is none of the handshake's. There are no sessions."""

    def __init__(self, calls: Calls, catalogue: Catalogue) -> None:
        self._calls = calls
        self._catalogue = catalogue

    async def post(self, arrival: Arrival, message: JsonObject) -> None:
        """Answer one request, or take one notification.

        Raises:
            Rejection: header and body differ, the version is unknown, the method is none of this era (404), or it is a
                response.
        """
        if "method" not in message:
            raise Rejection(400, INVALID_REQUEST, "a 2026-07-28 client has nothing to respond to")
        number = request_id(message)
        if number is None:
            await self._notice(arrival, message)
            return
        envelope = sdk.read_envelope(message, arrival.headers)
        if message["method"] in _REMOVED:
            raise Rejection(404, METHOD_NOT_FOUND, "Method not found")
        self._check_parameters(arrival, message)
        if message["method"] == LISTEN:
            message = _numbered(arrival, message, number)
        framing = Framing(
            era=Era.MODERN,
            capabilities=envelope.capabilities,
            log_level=envelope.log_level,
            claimed=claimed_name(envelope.client_info),
        )
        await self._calls.serve(arrival, message, number, framing)

    async def refuse_method(self, arrival: Arrival) -> None:
        """GET and DELETE belong to the sessions that this era does not have."""
        await send_text(arrival.wire.send, 405, "method not allowed", ((b"allow", b"POST"),))

    async def _notice(self, arrival: Arrival, message: JsonObject) -> None:
        if arrival.headers is not None:
            sdk.require_single_routing_headers(arrival.headers)
            sdk.require_supported_version(one(arrival.headers, "mcp-protocol-version") or "")
        if message["method"] != "notifications/cancelled":
            # Here a client cancels by closing the response; an id that anybody may name cancels nothing.
            await self._calls.notice(arrival, message)
        await send_bytes(arrival.wire.send, 202, b"")

    def _check_parameters(self, arrival: Arrival, message: JsonObject) -> None:
        params = message["params"]
        arguments = params.get("arguments", {})
        if message["method"] != "tools/call" or not isinstance(arguments, dict) or arrival.headers is None:
            return
        try:
            tool = self._catalogue.offer(arrival.server).find(ItemKind.TOOL, str(params.get("name")))
        except Denial:
            # The gate refuses the call for the same reason, and records it.
            return
        if tool is not None:
            sdk.require_param_headers_match(tool.get("inputSchema"), arguments, arrival.headers)


def _numbered(arrival: Arrival, message: JsonObject, number: RequestId) -> JsonObject:
    """A request to listen with its own id in `_meta`, under which all that answers it will go.

    Raises:
        Rejection: 406, the client takes no stream.
    """
    if not arrival.accepts.stream:
        raise Rejection(406, INVALID_REQUEST, "the client does not accept text/event-stream")
    params = message["params"]
    # A sign of life under its token could come before the acknowledgement, which must be the first on the stream.
    meta = {key: value for key, value in params["_meta"].items() if key != "progressToken"}
    return {**message, "params": {**params, "_meta": {**meta, SUBSCRIPTION_ID: number}}}
