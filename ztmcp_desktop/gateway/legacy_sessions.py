"""The `Mcp-Session-Id` sessions of the handshake era: bound to a token, bounded in number, ended by silence."""

import asyncio
import secrets
from collections import Counter, deque
from itertools import count

from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, TokenId
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.answers import Answer
from ztmcp_desktop.gateway.exchange import Exchange, Standing
from ztmcp_desktop.gateway.levels import is_wanted
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.wire import INVALID_REQUEST, Rejection, RequestId
from ztmcp_desktop.ports import Clock

MAX_IN_FLIGHT = 64
MAX_WAITING = 16
MAX_UNHEARD = 256
MAX_SHARE = 4
"""One client may hold this fraction (a quarter) of all sessions."""
ASK_S = 600.0


class LegacySession:
    """One client's connection to one server, from `initialize` to DELETE, silence or revocation.

    It hears what the server says outside of calls. Until its stream is open, the last `MAX_UNHEARD` of that wait.
    One that is `kept` belongs to a pipe: its client could not begin anew, so it ends with the pipe and not before.
    """

    era = Era.LEGACY
    stands_in = None

    def __init__(self, owner: Principal, server: ServerName, capabilities: JsonObject, now: float) -> None:
        self.id = secrets.token_urlsafe(32)
        self.owner = owner
        self.server = server
        self.capabilities = capabilities
        self.used_at = now
        self.log_level: str | None = None
        self.claimed = ""
        self.kept = False
        self.in_flight: dict[RequestId, asyncio.Task[Answer]] = {}
        self.standing: Standing | None = None
        self._unheard: deque[JsonObject] = deque(maxlen=MAX_UNHEARD)
        self._waiting: dict[str, asyncio.Future[JsonObject]] = {}
        self._numbers = count(1)

    def begin(self, request_id: RequestId, task: asyncio.Task[Answer]) -> None:
        """Remember a request until it is answered."""
        self.in_flight[request_id] = task
        task.add_done_callback(lambda _: self.in_flight.pop(request_id, None))

    def require_room(self, request_id: RequestId) -> None:
        """Refuse an id that is in flight already, and more requests at once than are allowed."""
        if request_id in self.in_flight:
            raise Rejection(400, INVALID_REQUEST, "a request with this id is in flight already")
        if len(self.in_flight) >= MAX_IN_FLIGHT:
            raise Rejection(429, INVALID_REQUEST, "too many requests are in flight in this session")

    def cancel(self, untrusted_id: object) -> None:
        """Cancel the request of this id, if there is one."""
        if isinstance(untrusted_id, str | int) and (task := self.in_flight.get(untrusted_id)):
            task.cancel()

    async def ask(self, exchange: Exchange, method: str, params: JsonObject | None) -> JsonObject:
        """Put a server's request to the client on the stream of the call that it belongs to."""
        if len(self._waiting) >= MAX_WAITING:
            raise Denial(Code.SERVER_UNAVAILABLE, "this client has too many requests to answer already")
        number = f"ztmcp-{next(self._numbers)}"
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message: JsonObject = {"jsonrpc": "2.0", "id": number, "method": method}
        try:
            await exchange.push(message if params is None else {**message, "params": params})
            async with asyncio.timeout(ASK_S):
                return await answer
        except TimeoutError:
            cancelled = {"requestId": number, "reason": "it took too long"}
            await exchange.push({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
            raise Denial(Code.TOO_SLOW, "the client did not answer in time") from None
        finally:
            del self._waiting[number]

    def resolve(self, message: JsonObject) -> None:
        """Take the client's answer to one of our requests; any other answer is dropped."""
        number = message.get("id")
        answer = self._waiting.get(number) if isinstance(number, str) else None
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(Denial(Code.SERVER_UNAVAILABLE, "the client answered the server with an error"))
        else:
            answer.set_result(message["result"])

    def hears(self, method: str, params: JsonObject) -> bool:
        """All that the server says of itself; of its log what this session wants."""
        return method != "notifications/message" or is_wanted(self.era, self.log_level, params.get("level"))

    def tell(self, method: str, params: JsonObject) -> None:
        message: JsonObject = {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}
        if self.standing is None:
            self._unheard.append(message)
        else:
            self.standing.offer(message)

    def stand(self, standing: Standing) -> None:
        """Open the stream, with what has waited for it."""
        self.standing = standing
        while self._unheard:
            standing.offer(self._unheard.popleft())

    def lost(self, why: Denial) -> None:
        """It outlives the server's conversations; what it has subscribed to is subscribed to again in the next.

        What still waits for its stream is dropped: somebody stopped the server, and lockdown may be the reason.
        """
        self._unheard.clear()

    def close(self) -> None:
        """Cancel what is in flight and end the open stream."""
        for task in list(self.in_flight.values()):
            task.cancel()
        if self.standing is not None:
            self.standing.close()


class LegacySessions:
    """At most `limit` sessions; the one that has been idle longest makes room, a greedy client's own first."""

    def __init__(self, clock: Clock, limit: int, idle_s: float, listeners: Listeners) -> None:
        self._clock = clock
        self._listeners = listeners
        self._limit = limit
        self._idle_s = idle_s
        self._live: dict[str, LegacySession] = {}

    def __len__(self) -> int:
        return len(self._live)

    def all(self) -> tuple[LegacySession, ...]:
        """Every live session."""
        return tuple(self._live.values())

    def make(self, owner: Principal, server: ServerName, capabilities: JsonObject) -> LegacySession:
        """A session that is not yet live."""
        return LegacySession(owner, server, capabilities, self._clock.monotonic())

    def admit(self, session: LegacySession) -> None:
        """Make it live.

        Raises:
            Rejection: 503, every session is busy.
        """
        self.sweep()
        held = Counter(live.owner.client for live in self._live.values())[session.owner.client]
        if held >= max(1, self._limit // MAX_SHARE):
            self._evict(session.owner.client)
        elif len(self._live) >= self._limit:
            self._evict(None)
        self._live[session.id] = session
        self._listeners.join(session)

    def find(self, untrusted_id: str | None, principal: Principal, server: ServerName) -> LegacySession:
        """The live session of this id.

        Raises:
            Rejection: 400 without an id; 404 where there is none, or it is another token's or server's.
        """
        if untrusted_id is None:
            raise Rejection(400, INVALID_REQUEST, "the header Mcp-Session-Id is missing")
        found = self._live.get(untrusted_id)
        now = self._clock.monotonic()
        if found is None or not _owns(found, principal, server) or self._is_silent(found, now):
            raise Rejection(404, INVALID_REQUEST, "there is no such session", code=Code.NOT_PERMITTED)
        found.used_at = now
        # A client that logged in anew, for more rights, goes on with its session under the newer login; and a pipe
        # outlives the silence after which another session of its client begins.
        found.owner = principal
        return found

    def end(self, session: LegacySession) -> None:
        """Close it and forget it."""
        self._live.pop(session.id, None)
        self._listeners.leave(session)
        session.close()

    def end_of(
        self, client: ClientName | None = None, session: SessionId | None = None, login: TokenId | None = None
    ) -> None:
        """End those of a client, of one session or login of it, or all."""
        for live in list(self._live.values()):
            if live.owner.is_of(client, session, login) and not live.kept:
                self.end(live)

    def sweep(self) -> None:
        """End those that have been silent for too long."""
        now = self._clock.monotonic()
        for live in [live for live in self._live.values() if self._is_silent(live, now)]:
            self.end(live)

    def _is_silent(self, session: LegacySession, now: float) -> bool:
        return not session.kept and not session.in_flight and session.used_at + self._idle_s <= now

    def _evict(self, client: ClientName | None) -> None:
        theirs = [live for live in self._live.values() if client in {None, live.owner.client}]
        idle = [live for live in theirs if not (live.in_flight or live.kept)]
        if not idle:
            raise Rejection(503, INVALID_REQUEST, "there are too many sessions", code=Code.NOT_PERMITTED)
        self.end(min(idle, key=lambda live: live.used_at))


def _owns(session: LegacySession, principal: Principal, server: ServerName) -> bool:
    owner = session.owner
    return (owner.client, owner.token, session.server) == (principal.client, principal.token, server)
