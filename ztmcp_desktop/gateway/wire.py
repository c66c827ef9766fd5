"""JSON as it comes over the wire: one object, read strictly, so that no two readers can differ about it."""

import json
import math
from typing import NoReturn

import orjson

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.gateway.jsonrpc import may_be_deep

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020

MAX_METHOD_CHARS = 128
MAX_ID_CHARS = 256
_SAFE_INTEGER = 2**53
_WRONG_SHAPE = "the body is not one JSON-RPC 2.0 request, notification or response"

RequestId = str | int


class Rejection(Denial):
    """Refuses a request before the gate, with the HTTP status and the JSON-RPC error that the client gets."""

    def __init__(
        self, status: int, rpc_code: int, reason: str, *, code: Code = Code.SCHEMA_MISMATCH, data: Json = None
    ) -> None:
        super().__init__(code, reason)
        self.status = status
        self.rpc_code = rpc_code
        self.data = data


def parse(untrusted_body: bytes, max_depth: int) -> JsonObject:
    """The one JSON object (RFC 8259, UTF-8 without a BOM) that `untrusted_body` is; integers keep every digit.

    Raises:
        Rejection: 400 for anything else: duplicate members, more than `max_depth` levels, arrays (batches), trailing
            bytes, NaN, numbers beyond a double, or strings that are no Unicode text.
    """
    try:
        text = untrusted_body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite_float
        )
    except RecursionError:
        raise _malformed("the JSON is nested too deeply") from None
    except ValueError:
        # The reason must not quote the body, which may hold secrets.
        raise _malformed("the body is not one JSON document in UTF-8") from None
    if not isinstance(value, dict):
        raise Rejection(400, INVALID_REQUEST, "the body must be one JSON object")
    if may_be_deep(untrusted_body, max_depth) and _deeper_than(value, max_depth):
        raise _malformed("the JSON is nested too deeply")
    if "\\" in text and ("\\ud" in text or "\\uD" in text):
        _require_unicode(value)
    return value


def dump(value: JsonObject) -> bytes:
    """`value` as compact JSON in one line; integers of any size survive.

    Raises:
        Denial: it holds what JSON cannot (`gateway-fault`).
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # Integers beyond 64 bits, lone surrogates and depths that orjson refuses.
        pass
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise Denial(Code.GATEWAY_FAULT, "the answer cannot be written as JSON") from None


def request_id(message: JsonObject) -> RequestId | None:
    """The id of a request, None for a notification.

    Raises:
        Rejection: it has an id that is neither text nor an integer of at most 53 bits, or is too long.
    """
    if "id" not in message:
        return None
    match message["id"]:
        case bool():
            pass
        case int(number) if abs(number) <= _SAFE_INTEGER:
            return number
        case str(text) if len(text) <= MAX_ID_CHARS:
            return text
    raise Rejection(400, INVALID_REQUEST, "the id of a request is a text or an integer")


def require_shape(message: JsonObject) -> None:
    """Whether `message` is a JSON-RPC 2.0 request, notification or response.

    Raises:
        Rejection: it is none of them.
    """
    if message.get("jsonrpc") != "2.0":
        raise Rejection(400, INVALID_REQUEST, _WRONG_SHAPE)
    if "method" in message:
        method = message["method"]
        named = isinstance(method, str) and 0 < len(method) <= MAX_METHOD_CHARS
        if not named or "result" in message or "error" in message:
            raise Rejection(400, INVALID_REQUEST, _WRONG_SHAPE)
        if not isinstance(message.get("params", {}), dict):
            raise Rejection(400, INVALID_PARAMS, "the parameters must be an object")
        return
    answers = [message[key] for key in ("result", "error") if key in message]
    if len(answers) != 1 or not isinstance(answers[0], dict) or "id" not in message:
        raise Rejection(400, INVALID_REQUEST, _WRONG_SHAPE)


def _malformed(reason: str) -> Rejection:
    return Rejection(400, PARSE_ERROR, reason)


def _no_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member occurs twice")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("the number is too large")
    return value


def _deeper_than(value: Json, max_depth: int) -> bool:
    level: list[Json] = [value]
    for _ in range(max_depth):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _require_unicode(value: JsonObject) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _malformed("a string is not Unicode text") from None
