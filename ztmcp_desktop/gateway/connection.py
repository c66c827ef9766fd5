"""One conversation with one server: ids and tokens of our own, order kept, everything bounded."""

import asyncio
import logging
from collections.abc import Callable

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import LISTEN, OF_SUBSCRIPTIONS
from ztmcp_desktop.gateway.flight import Flight, own_token, paused, reply_of, subscription_of
from ztmcp_desktop.gateway.jsonrpc import (
    HANDSHAKE_NOTICES,
    INTERNAL_ERROR,
    Rubbish,
    Sort,
    error,
    notification,
    request,
    sort_of,
)
from ztmcp_desktop.gateway.link import Host, Link, Noise, Route
from ztmcp_desktop.gateway.meter import Meter

MAX_IN_FLIGHT = 64
MAX_QUEUED = 1000
MAX_QUEUED_BYTES = 64 * 1024**2
MAX_SERVER_REQUESTS = 16

_log = logging.getLogger(__name__)


class Connection:
    """Requests to one server with their answers. It fails its own requests and nothing else."""

    def __init__(self, link: Link, host: Host) -> None:
        self._link = link
        self._host = host
        self._flights: dict[str, Flight] = {}
        self._next = 0
        self._asked: set[asyncio.Task[None]] = set()
        self._meter = Meter()
        self._why_closed: Denial | None = None
        self.ended = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether requests may still be made."""
        return self._why_closed is None

    @property
    def busy(self) -> bool:
        """Whether the server works at something."""
        return any(flight.hear is None for flight in self._flights.values())

    @property
    def noises(self) -> dict[str, int]:
        """What was dropped, by kind."""
        return {kind.value: count for kind, count in self._meter.noise.items()}

    async def start(self) -> None:
        """Begin to listen."""
        await self._link.start(self)

    def agreed(self, version: str) -> None:
        """The version that the handshake led to."""
        self._link.agreed(version)

    async def close(self, why: Denial) -> None:
        """End it; what is in flight fails with `why`."""
        self.closed(why)
        for task in self._asked:
            task.cancel()
        await self._link.close()

    async def ask(self, method: str, params: JsonObject | None, route: Route) -> tuple[Reply, int]:
        """A request of our own (handshake, lists): its reply and size in bytes. The caller limits the time."""
        flight = self._begin(None, route)
        try:
            await self._link.send(request(flight.id, method, params), route)
            return await self._answer(flight), flight.size_bytes
        except asyncio.CancelledError:
            await self._link.abandon(flight.id, route)
            raise
        finally:
            self._flights.pop(flight.id, None)

    async def tell(self, method: str, params: JsonObject | None, route: Route) -> None:
        """A notification of ours or of the client."""
        self._refuse_if_closed()
        await self._link.send(notification(method, params), route)

    async def listen(self, params: JsonObject, route: Route, hear: Callable[[str, JsonObject], None]) -> Flight:
        """Make the standing request of 2026-07-28; `hear` gets what comes under its id, the inbox its end."""
        flight = self._begin(None, route)
        flight.hear = hear
        try:
            await self._link.send(request(flight.id, LISTEN, params), route)
        except BaseException:
            self._flights.pop(flight.id, None)
            raise
        return flight

    async def abandon(self, flight: Flight) -> None:
        """End a standing request."""
        if self._flights.pop(flight.id, None) is not None:
            await self._link.abandon(flight.id, flight.route)

    async def overhear(self) -> None:
        """As `Link.overhear`."""
        await self._link.overhear()

    async def forward(self, call: Call, params: JsonObject, route: Route, limit_s: float) -> Reply:
        """A client's request. What the server says meanwhile reaches `call.channel` in order, before the reply.

        The time in which the server waits for the person or the client is not counted.

        Raises:
            Denial: `too-slow`, or whatever ended the connection.
        """
        flight = self._begin(call, route)
        try:
            async with asyncio.timeout(limit_s) as flight.deadline:
                await self._link.send(request(flight.id, call.method, own_token(params, flight)), route)
                return await self._answer(flight)
        except TimeoutError:
            if flight.failure is not None:
                raise flight.failure from None
            await self._link.abandon(flight.id, route)
            raise Denial(
                Code.TOO_SLOW, f"the server did not answer within {limit_s:g} s and was told to stop", Retry.LATER
            ) from None
        except asyncio.CancelledError:
            await self._link.abandon(flight.id, route)
            raise
        finally:
            self._flights.pop(flight.id, None)

    def _begin(self, call: Call | None, route: Route) -> Flight:
        self._refuse_if_closed()
        if len(self._flights) >= MAX_IN_FLIGHT:
            raise Denial(Code.SERVER_UNAVAILABLE, f"{MAX_IN_FLIGHT} requests wait for this server already", Retry.LATER)
        self._next += 1
        # One place is kept free for the answer.
        flight = Flight(id=f"gw-{self._next}", route=route, call=call, inbox=asyncio.Queue(MAX_QUEUED + 1))
        self._flights[flight.id] = flight
        return flight

    def _refuse_if_closed(self) -> None:
        if self._why_closed is not None:
            raise self._why_closed

    async def _answer(self, flight: Flight) -> Reply:
        while True:
            match await flight.inbox.get():
                case Reply() as reply:
                    return reply
                case Denial() as why:
                    raise why
                case (method, params, size_bytes) if flight.call is not None:
                    flight.queued_bytes -= size_bytes
                    await flight.call.channel.notify(method, params)
                case _:
                    continue

    # What the server says.

    def receive(self, message: JsonObject, size_bytes: int, related: str | None) -> None:
        if not self.open:
            return
        try:
            sort = sort_of(message)
        except Rubbish:
            self.noise(Noise.NOT_A_MESSAGE)
            return
        match sort:
            case Sort.ANSWER:
                self._answered(message, size_bytes)
            case Sort.NOTIFICATION:
                self._told(message["method"], message.get("params"), size_bytes, related)
            case Sort.REQUEST:
                self._requested(message, related)

    def _answered(self, message: JsonObject, size_bytes: int) -> None:
        flight = self._flights.pop(message["id"], None) if isinstance(message["id"], str) else None
        if flight is None:
            self.noise(Noise.UNKNOWN_ANSWER)
            return
        flight.size_bytes = size_bytes
        flight.inbox.put_nowait(reply_of(message))

    def _told(self, method: str, params: JsonObject | None, size_bytes: int, related: str | None) -> None:
        self._count_unasked()
        if method in OF_SUBSCRIPTIONS:
            self._told_of_change(method, params or {})
            return
        flight = self._flights.get(related) if related else None
        if method == "notifications/progress":
            token = (params or {}).get("progressToken")
            flight = self._flights.get(token) if isinstance(token, str) else None
            if flight is None or flight.token is None:
                self.noise(Noise.UNKNOWN_PROGRESS)
                return
            params = {**(params or {}), "progressToken": flight.token}
        elif method == "notifications/cancelled":
            self._cancelled((params or {}).get("requestId"))
            return
        elif flight is None:
            flight = self._newest()
        if flight is None:
            self._host.told(method, params or {})
        elif flight.call is None or (flight.call.era is Era.MODERN and method in HANDSHAKE_NOTICES):
            self.noise(Noise.NOT_ALLOWED_HERE if flight.call else Noise.NOBODY_LISTENS)
        elif flight.inbox.qsize() >= MAX_QUEUED or flight.queued_bytes > MAX_QUEUED_BYTES:
            self._end_for_flooding()
        else:
            flight.queued_bytes += size_bytes
            flight.inbox.put_nowait((method, params, size_bytes))

    def _told_of_change(self, method: str, params: JsonObject) -> None:
        """Under the id of a standing request of ours it is for that; a foreign id is nobody's."""
        number = subscription_of(params)
        if number is None:
            self._host.told(method, params)
        elif (standing := self._standing(number)) is not None and standing.hear is not None:
            standing.hear(method, params)

    def _cancelled(self, untrusted_id: Json) -> None:
        """A server may take back its own standing stream (2026-07-28, cancellation), and nothing else."""
        if (standing := self._standing(untrusted_id)) is not None:
            self.fail(standing.id, Denial(Code.SERVER_UNAVAILABLE, "the server ended the stream", Retry.LATER))

    def _standing(self, untrusted_id: Json) -> Flight | None:
        flight = self._flights.get(untrusted_id) if isinstance(untrusted_id, str) else None
        if flight is not None and flight.hear is not None:
            return flight
        self.noise(Noise.NOBODY_LISTENS)
        return None

    def _newest(self) -> Flight | None:
        return next((flight for flight in reversed(self._flights.values()) if flight.call is not None), None)

    def _requested(self, message: JsonObject, related: str | None) -> None:
        self._count_unasked()
        flight = (self._flights.get(related) if related else None) or self._newest()
        if len(self._asked) >= MAX_SERVER_REQUESTS:
            self.noise(Noise.NOT_ALLOWED_HERE)
            return
        task = asyncio.create_task(self._ask_host(message, flight))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _ask_host(self, message: JsonObject, flight: Flight | None) -> None:
        method, params = message["method"], message.get("params", {})
        try:
            with paused(flight):
                try:
                    reply = await self._host.asked(method, params, flight.call if flight else None)
                except Denial as denial:
                    reply = Reply(body=error(INTERNAL_ERROR, denial.reason), is_error=True)
            await self._respond(message["id"], reply)
        except Denial:
            _log.debug("a server was gone before it had its answer")
        except Exception:  # noqa: BLE001 - the root of a task: one server's request must not reach the others
            _log.error("a server's request could not be answered")

    async def _respond(self, their_id: Json, reply: Reply) -> None:
        part = {"error": reply.body} if reply.is_error else {"result": reply.body}
        await self._link.send({"jsonrpc": "2.0", "id": their_id, **part}, self._last_route())

    def _last_route(self) -> Route:
        newest = self._newest()
        return newest.route if newest else Route()

    # What goes wrong.

    def noise(self, kind: Noise) -> None:
        self._host.dropped(kind, self._meter.dropped(kind))
        self._count_unasked()

    def _count_unasked(self) -> None:
        if self._meter.is_flooded():
            self._end_for_flooding()

    def _end_for_flooding(self) -> None:
        self.closed(Denial(Code.SERVER_UNAVAILABLE, "the server sent far more than it was asked for", Retry.LATER))

    def fail(self, request_id: str, why: Denial) -> None:
        flight = self._flights.pop(request_id, None)
        if flight is not None:
            flight.fail(why)

    def closed(self, why: Denial) -> None:
        if self._why_closed is None:
            self._why_closed = why
        for request_id in list(self._flights):
            self.fail(request_id, self._why_closed)
        self.ended.set()
