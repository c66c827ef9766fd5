"""Makes a call of each request, runs it through the gate, and keeps hold of it until it is answered."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ztmcp_desktop.domain.call import Call, Subscriber
from ztmcp_desktop.domain.caller import Caller
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import CallId, ClientName, ServerName, SessionId, TokenId
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.answers import Answer, Headers, answered, fault, refused, withdrawn
from ztmcp_desktop.gateway.exchange import Accepts, Endings, Exchange, Timing, Wire
from ztmcp_desktop.gateway.intake import Pairs
from ztmcp_desktop.gateway.levels import is_wanted
from ztmcp_desktop.gateway.wire import RequestId
from ztmcp_desktop.ports import Clock, Gate

# Below whatever a server may report itself, so that its own progress still goes forward.
_TINY_PROGRESS = 1e-6
MAX_CLAIMED_CHARS = 80
_WAITING = "waiting for the person or the server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An authenticated message for one server, with who sent it as the system says, and the way to answer it.

    `headers` are None on a pipe, where nothing is said twice; then `session` is the pipe's, which HTTP has in a header.
    """

    principal: Principal
    server: ServerName
    headers: Pairs | None
    accepts: Accepts
    caller: Caller
    wire: Wire
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What the era's handshake or envelope says of a request."""

    era: Era
    capabilities: JsonObject
    log_level: str | None = None
    claimed: str = ""


class Asker(Protocol):
    """Puts a server's request to the client on the stream of the call that it belongs to."""

    async def ask(self, exchange: Exchange, method: str, params: JsonObject | None) -> JsonObject:
        """The client's result. Raises `Denial` as `Channel.request`."""


class ClientChannel:
    """The port `Channel` over one response. Without an asker the client cannot be asked; logs are those it wants."""

    def __init__(self, exchange: Exchange, asker: Asker | None, framing: Framing) -> None:
        self._exchange = exchange
        self._asker = asker
        self._framing = framing

    async def notify(self, method: str, params: JsonObject | None) -> None:
        if method == "notifications/message" and not is_wanted(
            self._framing.era, self._framing.log_level, (params or {}).get("level")
        ):
            return
        message: JsonObject = {"jsonrpc": "2.0", "method": method}
        await self._exchange.push(message if params is None else {**message, "params": params})

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        if self._asker is None or not self._exchange.carries_messages:
            raise Denial(Code.SERVER_UNAVAILABLE, "this client cannot be asked while its call is open")
        return await self._asker.ask(self._exchange, method, params)


class Calls:
    """The calls in flight of every client. Each is cancelled when its client is revoked or goes away."""

    def __init__(self, gate: Gate, clock: Clock, timing: Timing) -> None:
        self._gate = gate
        self._clock = clock
        self._timing = timing
        self._running: dict[asyncio.Task[Answer], Principal] = {}

    async def serve(  # noqa: PLR0913 - each is part of the one request
        self,
        arrival: Arrival,
        message: JsonObject,
        request_id: RequestId,
        framing: Framing,
        *,
        asker: Asker | None = None,
        subscriber: Subscriber | None = None,
        headers: Headers = (),
        began: Callable[[asyncio.Task[Answer]], None] = lambda _: None,
    ) -> Answer | None:
        """Run the request and send its answer; gives the answer, None where it was cancelled or failed."""
        exchange = Exchange(arrival.wire, accepts=arrival.accepts, timing=self._timing, headers=headers)
        call = Call(
            id=CallId(uuid.uuid4().hex),
            at=self._clock.now(),
            principal=arrival.principal,
            server=arrival.server,
            method=message["method"],
            params=message.get("params", {}),
            era=framing.era,
            channel=ClientChannel(exchange, asker, framing),
            caller=arrival.caller,
            claimed=framing.claimed,
            client_capabilities=framing.capabilities,
            log_level=framing.log_level,
            subscriber=subscriber,
        )
        task = asyncio.create_task(self._perform(call, request_id))
        self._running[task] = arrival.principal
        task.add_done_callback(lambda done: self._running.pop(done, None))
        began(task)
        await exchange.run(task, _endings(call, request_id))
        over = task.done() and not task.cancelled() and task.exception() is None
        return task.result() if over else None

    async def notice(self, arrival: Arrival, message: JsonObject) -> None:
        """Pass a notification to the gate; nobody waits to hear of a refusal."""
        with contextlib.suppress(Denial):
            await self._gate.notice(
                arrival.principal, arrival.server, message["method"], message.get("params"), arrival.caller
            )

    def cancel(
        self, client: ClientName | None = None, session: SessionId | None = None, login: TokenId | None = None
    ) -> None:
        """Cancel the calls of a client, of one session or login of it, or of all."""
        for task, principal in list(self._running.items()):
            if principal.is_of(client, session, login):
                task.cancel()

    async def _perform(self, call: Call, request_id: RequestId) -> Answer:
        try:
            answer = answered(call, request_id, await self._gate.run(call))
        except Denial as denial:
            answer = refused(call, request_id, denial)
        error = answer.message.get("error")
        if call.era is Era.MODERN and isinstance(error, dict) and isinstance(error.get("code"), int):
            return Answer(message=answer.message, status=sdk.http_status(error["code"]))
        return answer


def claimed_name(untrusted_info: Json) -> str:
    """What the client calls itself in `clientInfo`; empty where it says nothing that could be one."""
    if not isinstance(untrusted_info, dict):
        return ""
    said = (untrusted_info.get(key) for key in ("name", "version"))
    return " ".join(part for part in said if isinstance(part, str))[:MAX_CLAIMED_CHARS]


def _endings(call: Call, request_id: RequestId) -> Endings:
    meta = call.params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    told = isinstance(token, str | int) and not isinstance(token, bool)

    def sign_of_life(count: int) -> JsonObject | None:
        if not told:
            return None
        params = {"progressToken": token, "progress": count * _TINY_PROGRESS, "message": _WAITING}
        return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}

    return Endings(withdrawn=withdrawn(call, request_id), fault=fault(call, request_id), sign_of_life=sign_of_life)
