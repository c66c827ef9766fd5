"""One MCP request in flight, with its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from ztmcp_desktop.domain.caller import NOT_ASKED, Caller
from ztmcp_desktop.domain.client import Principal, Right
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId, ServerName
from ztmcp_desktop.domain.offer import Era, ItemKind
from ztmcp_desktop.domain.proof import Proof
from ztmcp_desktop.domain.risk import Action
from ztmcp_desktop.domain.sealed import Sealed

P = TypeVar("P", bound=Proof)

_SUBJECT_KEYS = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
}
_ITEM_KINDS = {
    "tools/call": ItemKind.TOOL,
    "prompts/get": ItemKind.PROMPT,
    "resources/read": ItemKind.RESOURCE,
    "resources/subscribe": ItemKind.RESOURCE,
    "resources/unsubscribe": ItemKind.RESOURCE,
}
_ACTIONS = {
    "tools/call": Action.CALL,
    "resources/read": Action.READ,
    "resources/subscribe": Action.READ,
    "resources/unsubscribe": Action.READ,
    "prompts/get": Action.READ,
    "completion/complete": Action.READ,
    "initialize": Action.LIST,
    "server/discover": Action.LIST,
    "ping": Action.LIST,
    "logging/setLevel": Action.LIST,
    "tools/list": Action.LIST,
    "resources/list": Action.LIST,
    "resources/templates/list": Action.LIST,
    "prompts/list": Action.LIST,
    "subscriptions/listen": Action.LIST,
    "elicitation/create": Action.ASK_PERSON,
    "sampling/createMessage": Action.SAMPLE,
    "roots/list": Action.LIST,
}


def action_of(method: str) -> Action:
    """What the rules call this method; one that we do not know is `other`."""
    return _ACTIONS.get(method, Action.OTHER)


def needed_right(method: str) -> Right:
    """What a token must be good for to use this method; what does not only look needs `call`."""
    return Right.READ if action_of(method) in {Action.LIST, Action.READ} else Right.CALL


class Direction(StrEnum):
    """Which way the request goes."""

    TO_SERVER = "to-server"
    TO_CLIENT = "to-client"


class Channel(Protocol):
    """The way back to whoever made the request, while it is in flight."""

    async def notify(self, method: str, params: JsonObject | None) -> None:
        """Pass a notification on, in order, before the answer. A channel that is gone swallows it."""

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        """Ask the other side and give its result.

        Raises:
            Denial: it cannot be asked (`server-unavailable`), or answered with an error.
        """


class Subscriber(Protocol):
    """Who hears of changes outside of a call: a session of the handshake era, or a stream of 2026-07-28."""

    def tell(self, method: str, params: JsonObject) -> None:
        """Take a notification that may go to the client, in order; never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """What is really sent, secrets put in. Only ever held sealed.

    `env` is for a process that has yet to start; `headers` are for a remote server, with each request.
    """

    params: JsonObject
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The server's answer: a result object, or a JSON-RPC error object (`code`, `message`, `data`)."""

    body: JsonObject
    is_error: bool = False


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request, what was proved about it, and its reply. Stages give a new one; nothing in it is altered in place.

    `caller` is what the system reports of the other end, `claimed` what the client calls itself (`clientInfo`), which
    is untrusted text. Neither decides who calls: that is the principal.
    """

    # Without slots, because a copy of a dictionary costs a tenth of a copy member by member, and each stage makes one.

    id: CallId
    at: datetime
    principal: Principal
    server: ServerName
    method: str
    params: JsonObject
    era: Era
    channel: Channel = field(repr=False, compare=False)
    direction: Direction = Direction.TO_SERVER
    caller: Caller = NOT_ASKED
    claimed: str = ""
    client_capabilities: JsonObject = field(default_factory=dict)
    log_level: str | None = None
    subscriber: Subscriber | None = field(default=None, repr=False, compare=False)
    proofs: tuple[Proof, ...] = ()
    outbound: Sealed[Outbound] | None = field(default=None, repr=False)
    reply: Reply | None = field(default=None, repr=False)

    @property
    def subject(self) -> str:
        """The tool, prompt or resource that is asked for; the method itself where there is none. Untrusted text."""
        key = _SUBJECT_KEYS.get(self.method)
        name = self.params.get(key) if key else None
        return name if isinstance(name, str) else self.method

    @property
    def item_kind(self) -> ItemKind | None:
        """The kind of thing that the subject is, None where the subject is the method."""
        return _ITEM_KINDS.get(self.method)

    @property
    def action(self) -> Action:
        """What the rules call this."""
        return action_of(self.method)

    @property
    def arguments(self) -> JsonObject:
        """The arguments of a tool or prompt; for other methods all parameters but `_meta`."""
        if self.method in {"tools/call", "prompts/get"}:
            given = self.params.get("arguments")
            return given if isinstance(given, dict) else {}
        return {key: value for key, value in self.params.items() if key != "_meta"}

    def with_arguments(self, arguments: JsonObject) -> "Call":
        """The call with other arguments, all else as it is."""
        if self.method in {"tools/call", "prompts/get"}:
            if "arguments" not in self.params and not arguments:
                return self
            return self.with_params({**self.params, "arguments": arguments})
        meta = {"_meta": self.params["_meta"]} if "_meta" in self.params else {}
        return self.with_params({**arguments, **meta})

    def with_params(self, params: JsonObject) -> "Call":
        """The call with other parameters, all else as it is."""
        return self._with("params", params)

    def with_channel(self, channel: Channel) -> "Call":
        """The call with another way back, all else as it is."""
        return self._with("channel", channel)

    def with_outbound(self, outbound: Sealed[Outbound]) -> "Call":
        """The call with what is really sent, all else as it is."""
        return self._with("outbound", outbound)

    def with_reply(self, reply: Reply) -> "Call":
        """The call with an answer, all else as it is."""
        return self._with("reply", reply)

    def proved(self, proof: Proof) -> "Call":
        """The call with one proof more."""
        return self._with("proofs", (*self.proofs, proof))

    def _with(self, name: str, value: object) -> "Call":
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__[name] = value
        return made

    def proof(self, kind: type[P]) -> P:
        """The proof of this type.

        Raises:
            Denial: no stage has left one, so a stage is missing or misplaced (`gateway-fault`).
        """
        for proof in reversed(self.proofs):
            if isinstance(proof, kind):
                return proof
        raise Denial(Code.GATEWAY_FAULT, f"a check is missing: nothing has established {kind.__name__}")
