"""One request that a server has not answered yet: its inbox, its token, its clock."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.subscription import SUBSCRIPTION_ID
from ztmcp_desktop.gateway.link import Route

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Flight:
    """A request that the server has not answered yet."""

    id: str
    route: Route
    call: Call | None
    inbox: asyncio.Queue[tuple[str, JsonObject | None, int] | Reply | Denial]
    hear: Callable[[str, JsonObject], None] | None = None
    """Where the notifications of a standing request go; None for all others."""
    token: Json = None
    size_bytes: int = 0
    queued_bytes: int = 0
    asking: int = 0
    deadline: asyncio.Timeout | None = None
    left_s: float = 0.0
    failure: Denial | None = None

    def fail(self, why: Denial) -> None:
        """End it now, even if what came before still waits for a client that does not read."""
        self.failure = why
        self.inbox.put_nowait(why)
        if self.deadline is not None:
            _move(self.deadline, asyncio.get_running_loop().time())


def own_token(params: JsonObject, flight: Flight) -> JsonObject:
    """`params` with our progress token in the place of the client's, which is kept in `flight`."""
    meta = params.get("_meta")
    if not isinstance(meta, dict) or meta.get("progressToken") is None:
        return params
    flight.token = meta["progressToken"]
    return {**params, "_meta": {**meta, "progressToken": flight.id}}


def reply_of(message: JsonObject) -> Reply | Denial:
    """The reply in an answer, or the refusal of one that is neither a result nor an error."""
    if isinstance(message.get("result"), dict):
        return Reply(body=message["result"])
    failure = message.get("error")
    if isinstance(failure, dict) and type(failure.get("code")) is int and isinstance(failure.get("message"), str):
        return Reply(body=failure, is_error=True)
    return Denial(Code.SERVER_UNAVAILABLE, "the server's answer is neither a result nor an error")


def subscription_of(params: JsonObject) -> Json:
    """The id of the standing request that a notification says it belongs to, None where it says nothing."""
    meta = params.get("_meta")
    return meta.get(SUBSCRIPTION_ID) if isinstance(meta, dict) else None


class _Pause:
    """Stops a flight's clock while the server waits for the person; nests."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        flight = self._flight
        flight.asking += 1
        if flight.asking == 1 and flight.deadline and (when := flight.deadline.when()) is not None:
            flight.left_s = when - asyncio.get_running_loop().time()
            _move(flight.deadline, None)

    def __exit__(self, *_: object) -> None:
        flight = self._flight
        flight.asking -= 1
        if flight.asking == 0 and flight.deadline:
            _move(flight.deadline, asyncio.get_running_loop().time() + max(flight.left_s, 0.0))


def _move(deadline: asyncio.Timeout, when: float | None) -> None:
    try:
        deadline.reschedule(when)
    except RuntimeError:
        _log.debug("the request was over before its clock was stopped")


def paused(flight: Flight | None) -> AbstractContextManager[None]:
    """Stops the clock of `flight` for as long as this lasts."""
    return _Pause(flight) if flight is not None else nullcontext()
