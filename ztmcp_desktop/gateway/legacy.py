"""The handshake era (2024-11-05 to 2025-11-25): sessions, messages, the standing stream, the end."""

import orjson

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.answers import send_bytes
from ztmcp_desktop.gateway.calls import Arrival, Calls, Framing, claimed_name
from ztmcp_desktop.gateway.exchange import Standing, Timing
from ztmcp_desktop.gateway.intake import one
from ztmcp_desktop.gateway.legacy_sessions import LegacySession, LegacySessions
from ztmcp_desktop.gateway.levels import LEVELS
from ztmcp_desktop.gateway.wire import INVALID_PARAMS, INVALID_REQUEST, Rejection, RequestId, request_id

MAX_CAPABILITIES_BYTES = 65536
SESSION_HEADER = "mcp-session-id"


class LegacyDoor:
    """Serves requests without `MCP-Protocol-Version`, or with one of the handshake's versions."""

    def __init__(self, calls: Calls, sessions: LegacySessions, timing: Timing) -> None:
        self._calls = calls
        self._sessions = sessions
        self._timing = timing

    async def post(self, arrival: Arrival, message: JsonObject) -> None:
        """Answer one request, or take one notification or response.

        Raises:
            Rejection: no such session, contradicting headers, an id in flight, or too many requests.
        """
        if "method" not in message:
            self._find(arrival).resolve(message)
            await send_bytes(arrival.wire.send, 202, b"")
            return
        if arrival.headers is not None:
            sdk.require_routing_headers_match(message, arrival.headers)
        number = request_id(message)
        if number is None:
            await self._notice(arrival, message)
        elif message["method"] == "initialize":
            await self._initialize(arrival, message, number)
        else:
            session = self._find(arrival)
            session.require_room(number)
            answer = await self._calls.serve(
                arrival,
                message,
                number,
                Framing(
                    era=Era.LEGACY,
                    capabilities=session.capabilities,
                    log_level=session.log_level,
                    claimed=session.claimed,
                ),
                asker=session,
                subscriber=session,
                began=lambda task: session.begin(number, task),
            )
            level = message.get("params", {}).get("level")
            if message["method"] == "logging/setLevel" and level in LEVELS and answer and "result" in answer.message:
                session.log_level = level

    async def get(self, arrival: Arrival) -> None:
        """Open the session's one standing stream.

        Raises:
            Rejection: 406 where the client takes no stream, 409 where one is open.
        """
        session = self._find(arrival)
        if not arrival.accepts.stream:
            raise Rejection(406, INVALID_REQUEST, "the client does not accept text/event-stream")
        if session.standing is not None:
            raise Rejection(409, INVALID_REQUEST, "this session has an open stream already")
        standing = Standing(arrival.wire, self._timing)
        session.stand(standing)
        try:
            await standing.run()
        finally:
            session.standing = None

    async def delete(self, arrival: Arrival) -> None:
        """End the session."""
        self._sessions.end(self._find(arrival))
        await send_bytes(arrival.wire.send, 200, b"")

    async def _initialize(self, arrival: Arrival, message: JsonObject, number: RequestId) -> None:
        if _session_of(arrival) is not None:
            raise Rejection(400, INVALID_REQUEST, "this session is initialized already")
        capabilities = message.get("params", {}).get("capabilities", {})
        if not isinstance(capabilities, dict) or len(orjson.dumps(capabilities)) > MAX_CAPABILITIES_BYTES:
            raise Rejection(400, INVALID_PARAMS, "the client's capabilities are no object, or too large")
        session = self._sessions.make(arrival.principal, arrival.server, capabilities)
        session.kept = arrival.headers is None
        session.claimed = claimed_name(message.get("params", {}).get("clientInfo"))
        # Live before it is answered: the client's next request may come before this one is over.
        self._sessions.admit(session)
        answer = await self._calls.serve(
            arrival,
            message,
            number,
            Framing(era=Era.LEGACY, capabilities=capabilities, claimed=session.claimed),
            headers=((SESSION_HEADER.encode(), session.id.encode()),),
            began=lambda task: session.begin(number, task),
        )
        if answer is None or "result" not in answer.message:
            self._sessions.end(session)

    async def _notice(self, arrival: Arrival, message: JsonObject) -> None:
        session = self._find(arrival)
        if message["method"] == "notifications/cancelled":
            # Cancelling the call tells the server, under the id that the server knows.
            session.cancel(message.get("params", {}).get("requestId"))
        else:
            await self._calls.notice(arrival, message)
        await send_bytes(arrival.wire.send, 202, b"")

    def _find(self, arrival: Arrival) -> LegacySession:
        return self._sessions.find(_session_of(arrival), arrival.principal, arrival.server)


def _session_of(arrival: Arrival) -> str | None:
    return arrival.session if arrival.headers is None else one(arrival.headers, SESSION_HEADER)
