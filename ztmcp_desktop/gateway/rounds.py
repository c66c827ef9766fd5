"""Answers of 2026-07-28 servers that ask for input, for handshake-era clients: asked, and the request made again."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.gateway.jsonrpc import INTERNAL_ERROR, URL_ELICITATION_REQUIRED, error

MAX_ROUNDS = 10
MAX_INPUT_REQUESTS = 16

Send = Callable[[JsonObject], Awaitable[Reply]]
Ask = Callable[[str, JsonObject, Call], Awaitable[Reply]]


async def in_rounds(call: Call, params: JsonObject, send: Send, ask: Ask) -> Reply:
    """The server's last answer, whatever it asks meanwhile put to the client by `ask`, which goes through the gate.

    Raises:
        Denial: it asks what it may not, in too many rounds, or the client does not answer (`server-unavailable`).
    """
    for _ in range(MAX_ROUNDS):
        reply = await send(params)
        if reply.is_error or reply.body.get("resultType") != "input_required":
            return reply
        responses: JsonObject = {}
        for key, method, question in _questions(reply.body.get("inputRequests", {})):
            answer = await ask(method, question, call)
            if answer.is_error:
                raise Denial(Code.SERVER_UNAVAILABLE, f"the server asked for input and got none: {_why(answer)}")
            responses[key] = answer.body
        params = {key: value for key, value in params.items() if key not in {"inputResponses", "requestState"}}
        params |= {"inputResponses": responses} if responses else {}
        if "requestState" in reply.body:
            params["requestState"] = reply.body["requestState"]
    raise Denial(Code.SERVER_UNAVAILABLE, f"the server asked for input more than {MAX_ROUNDS} times")


async def after_urls(
    call: Call, send: Callable[[], Awaitable[Reply]], ask: Callable[[str, JsonObject], Awaitable[Reply]]
) -> Reply:
    """A handshake-era server's answer, the addresses that it wants opened first put to a client of 2026-07-28.

    The error -32042 (2025-11-25, client/elicitation) becomes elicitations; if all are accepted the request is made
    again. A client that cannot open addresses gets the error.
    """
    reply = await send()
    able = call.client_capabilities.get("elicitation")
    if not isinstance(able, dict) or "url" not in able:
        return reply
    for _ in range(MAX_ROUNDS):
        urls = _urls(reply)
        if not urls:
            break
        for params in urls:
            answer = await ask("elicitation/create", params)
            if answer.is_error or answer.body.get("action") != "accept":
                unopened = error(INTERNAL_ERROR, "an address that the server needs opened was not")
                return Reply(body=unopened, is_error=True)
        reply = await send()
    return reply


def _urls(reply: Reply) -> list[JsonObject]:
    if not reply.is_error or reply.body.get("code") != URL_ELICITATION_REQUIRED:
        return []
    untrusted = reply.body.get("data")
    listed = untrusted.get("elicitations") if isinstance(untrusted, dict) else None
    if not isinstance(listed, list):
        return []
    return [
        {"mode": "url", "url": asked["url"], "message": asked["message"]}
        for asked in listed[:MAX_INPUT_REQUESTS]
        if isinstance(asked, dict) and isinstance(asked.get("url"), str) and isinstance(asked.get("message"), str)
    ]


def _questions(untrusted: Json) -> list[tuple[str, str, JsonObject]]:
    if not isinstance(untrusted, dict) or len(untrusted) > MAX_INPUT_REQUESTS:
        raise _wrong()
    found = []
    for key, asked in untrusted.items():
        method = asked.get("method") if isinstance(asked, dict) else None
        params = asked.get("params", {}) if isinstance(asked, dict) else None
        if not isinstance(method, str) or not isinstance(params, dict):
            raise _wrong()
        if params.get("mode") == "url":
            # The handshake era names each such elicitation (2025-11-25, client/elicitation).
            params = {**params, "elicitationId": uuid4().hex}
        found.append((key, method, params))
    return found


def _why(answer: Reply) -> str:
    return str(answer.body.get("message", "it was refused"))


def _wrong() -> Denial:
    return Denial(Code.BLOCKED_CONTENT, "the server's answer asks the client for what no server may ask")
