"""What a client gets: results, JSON-RPC errors and refusals, as messages and as HTTP."""

from dataclasses import dataclass

from starlette.types import Send

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.wire import Rejection, RequestId, dump

DENIED = -31001
DENIAL_META = "ztmcp/denial"
_CACHEABLE = frozenset(
    {"server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list", "resources/read"}
)
_MODERN_ONLY = ("resultType", "ttlMs", "cacheScope")
_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A JSON-RPC message, and the HTTP status it has where it is a body of its own."""

    message: JsonObject
    status: int = 200


def answered(call: Call, request_id: RequestId, reply: Reply) -> Answer:
    """The server's reply in the form of the client's era; errors pass raw."""
    if reply.is_error:
        return Answer(message={"jsonrpc": "2.0", "id": request_id, "error": reply.body})
    body = reply.body
    if call.era is Era.MODERN:
        body = in_modern_form(call.method, body)
    elif "resultType" in body:
        body = {key: value for key, value in body.items() if key not in _MODERN_ONLY}
    return Answer(message={"jsonrpc": "2.0", "id": request_id, "result": body})


def in_modern_form(method: str, body: JsonObject) -> JsonObject:
    """`body` with the members that 2026-07-28 requires of a result; what a policy filters is never shared."""
    if "resultType" not in body:
        body = {**body, "resultType": "complete"}
    if method in _CACHEABLE:
        body = {"ttlMs": 0, **body, "cacheScope": "private"}
    return body


def refused(call: Call, request_id: RequestId, denial: Denial) -> Answer:
    """The contract's refusal: a tool result that the model can read, or the JSON-RPC error -31001."""
    mark = {"code": denial.code.value, "call": call.id}
    text = f"ztmcp refused this call ({denial.code.value}): {denial.reason.rstrip('.')}. {denial.retry.value}"
    if call.method != "tools/call":
        return Answer(message=error(request_id, DENIED, text, mark))
    result: JsonObject = {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "_meta": {DENIAL_META: mark},
    }
    if call.era is Era.MODERN:
        result["resultType"] = "complete"
    return Answer(message={"jsonrpc": "2.0", "id": request_id, "result": result})


def fault(call: Call, request_id: RequestId) -> Answer:
    """What is said of a failure of our own: nothing but that there was one."""
    return refused(call, request_id, Denial(Code.GATEWAY_FAULT, "the gateway failed at this call"))


def withdrawn(call: Call, request_id: RequestId) -> Answer:
    """What ends the stream of a call that was cancelled; few will read it."""
    return refused(call, request_id, Denial(Code.WITHDRAWN, "the call was withdrawn"))


def error(request_id: RequestId | None, code: int, message: str, data: JsonObject | None = None) -> JsonObject:
    """A JSON-RPC error message."""
    body: JsonObject = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


async def send_bytes(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """One whole HTTP response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def send_text(send: Send, status: int, text: str, headers: Headers = ()) -> None:
    """A short plain answer; the connection is closed, since the body of the request may be unread."""
    plain = (b"content-type", b"text/plain; charset=utf-8")
    await send_bytes(send, status, text.encode(), (plain, _NO_STORE, (b"connection", b"close"), *headers))


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """A JSON body that nobody may keep."""
    await send_bytes(send, status, body, (_JSON, _NO_STORE, *headers))


async def send_rejection(send: Send, rejection: Rejection, request_id: RequestId | None, headers: Headers = ()) -> None:
    """A refusal before the gate; the connection is closed where the body may be unread."""
    message = error(request_id, rejection.rpc_code, rejection.reason, rejection.data)
    close: Headers = ((b"connection", b"close"),) if rejection.status in {408, 413, 415} else ()
    await send_json(send, rejection.status, dump(message), (*close, *headers))
