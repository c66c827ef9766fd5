"""What a server may ask of a client at all, and the call that carries it there."""

from dataclasses import replace
from uuid import uuid4

from ztmcp_desktop.domain.call import Call, Direction, Reply
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId
from ztmcp_desktop.gateway.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, error
from ztmcp_desktop.ports import Clock
from ztmcp_desktop.scan.questions import CAPABILITIES, is_declared


def refusal_of(method: str, params: JsonObject, able: JsonObject) -> Reply | None:
    """Why a client with these capabilities is not asked this, as the answer to the server; None where it may be.

    A mode that it did not declare is -32602 (2025-11-25, client/elicitation).
    """
    if CAPABILITIES.get(method) not in able:
        return unasked()
    if not is_declared(method, params, able):
        return Reply(body=error(INVALID_PARAMS, "the client did not declare this mode of elicitation"), is_error=True)
    return None


def turned_round(call: Call, method: str, params: JsonObject, clock: Clock) -> Call:
    """The call to the client that a server's request during `call` makes."""
    return replace(
        call,
        id=CallId(uuid4().hex),
        at=clock.now(),
        method=method,
        params=params,
        direction=Direction.TO_CLIENT,
        proofs=(),
        outbound=None,
        reply=None,
    )


def unasked() -> Reply:
    """The answer to a server that asks what nobody can be asked."""
    return Reply(body=error(METHOD_NOT_FOUND, "the client cannot be asked this"), is_error=True)
