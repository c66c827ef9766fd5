"""What a transport is to a conversation, a conversation to a transport, and to whoever holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import Json, JsonObject


class Noise(StrEnum):
    """What a server wrote that belongs to nothing; dropped and counted."""

    NOT_A_MESSAGE = "not-a-message"
    UNKNOWN_ANSWER = "answer-to-nothing"
    UNKNOWN_PROGRESS = "progress-of-nothing"
    NOBODY_LISTENS = "nobody-listens"
    NOT_ALLOWED_HERE = "not-allowed-here"
    TOO_MUCH = "too-much"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a transport needs beside the message: headers that hold secrets, and the pinned schema of the tool."""

    headers: Mapping[str, str] = field(default_factory=dict)
    input_schema: Json = None


class Inbox(Protocol):
    """Where a transport delivers."""

    def receive(self, message: JsonObject, size_bytes: int, related: str | None) -> None:
        """A message from the server; `related` is the request on whose answer stream it came, if that is known."""

    def noise(self, kind: Noise) -> None:
        """Something was dropped."""

    def fail(self, request_id: str, why: Denial) -> None:
        """This request will never be answered."""

    def closed(self, why: Denial) -> None:
        """Nothing will ever be answered any more."""


class Link(Protocol):
    """A transport: stdio or HTTP."""

    async def start(self, inbox: Inbox) -> None:
        """Begin to deliver."""

    def agreed(self, version: str) -> None:
        """The version that the handshake led to, for transports that name it with each message."""

    async def send(self, message: JsonObject, route: Route) -> None:
        """Write a message. Raises a `Denial` when the server is gone."""

    async def overhear(self) -> None:
        """Return when what belongs to no request can be heard, or it is known that it cannot."""

    async def abandon(self, request_id: str, route: Route) -> None:
        """Tell the server that nobody waits for this request any more; never raises."""

    async def close(self) -> None:
        """End it, and all that was started for it."""


class Host(Protocol):
    """What a conversation needs of whoever holds it."""

    async def asked(self, method: str, params: JsonObject, call: Call | None) -> Reply:
        """Answer a server's request; `call` is the one that it belongs to."""

    def told(self, method: str, params: JsonObject) -> None:
        """A notification that belongs to no request."""

    def dropped(self, kind: Noise, count: int) -> None:
        """Noise; `count` is how often of this kind so far."""
