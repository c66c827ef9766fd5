"""What a `requestState` is good for: the client, server and request that it was given to, and nothing else."""

from collections.abc import Awaitable, Callable

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.gateway.jsonrpc import INVALID_PARAMS, error

PURPOSE = "request state"
_TAG_CHARS = 64
_ASKED = ("name", "uri", "arguments")

Send = Callable[[JsonObject], Awaitable[Reply]]


class States:
    """Puts a keyed tag before a server's `requestState`, and takes it off again before the server gets it back.

    To a server all clients of this computer are one, so its own check cannot tell them apart (2026-07-28,
    basic/patterns/mrtr; security best practices, state handle hijacking).
    """

    def __init__(self, digester: Digester) -> None:
        self._digester = digester

    async def run(self, call: Call, send: Send, params: JsonObject) -> Reply:
        """What `send` gives for `params`, the state in them opened and the one in the reply sealed."""
        opened = self.opened(call, params)
        return not_given() if opened is None else self.sealed(call, params, await send(opened))

    def sealed(self, call: Call, params: JsonObject, reply: Reply) -> Reply:
        """`reply` with its state, if it has one, bound to the request that `params` make."""
        state = reply.body.get("requestState")
        if reply.is_error or not isinstance(state, str):
            return reply
        tag = self._digester.of(PURPOSE, [*bound_to(call, params), state])
        return Reply(body={**reply.body, "requestState": f"{tag}.{state}"})

    def opened(self, call: Call, params: JsonObject) -> JsonObject | None:
        """`params` with the state as the server gave it, byte by byte; None if it was not given to this request."""
        if "requestState" not in params:
            return params
        untrusted = params["requestState"]
        if not isinstance(untrusted, str) or untrusted[_TAG_CHARS : _TAG_CHARS + 1] != ".":
            return None
        tag, state = untrusted[:_TAG_CHARS], untrusted[_TAG_CHARS + 1 :]
        if not self._digester.matches(tag, PURPOSE, [*bound_to(call, params), state]):
            return None
        return {**params, "requestState": state}


def bound_to(call: Call, params: JsonObject) -> list[Json]:
    """Who asks for what."""
    asked = {key: params[key] for key in _ASKED if key in params}
    return [call.principal.client, call.server, call.method, asked]


def not_given() -> Reply:
    """What a client gets that shows a state which its request was not given."""
    return Reply(body=error(INVALID_PARAMS, "the requestState is none that this request was given"), is_error=True)
