"""JSON-RPC 2.0 messages as plain dictionaries: decoding what a server wrote, encoding what we write."""

import json
import re
from enum import Enum, auto

import orjson

from ztmcp_desktop.domain.json import Json, JsonObject

MAX_DEPTH = 128
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
UNSUPPORTED_VERSION = -32022
LEGACY_NOT_FOUND = -32002
URL_ELICITATION_REQUIRED = -32042
MISSING_CAPABILITY = -32021
# What 2026-07-28 has no more (changelog), so that no client of it may get it.
HANDSHAKE_NOTICES = frozenset({"notifications/elicitation/complete"})

# orjson turns integers beyond 64 bits into floats, so a line with that many digits takes the slower way.
_MANY_DIGITS = re.compile(rb"\d{19}")
# Of 19 bytes in a row two stand at places that are multiples of this, so a ninth of the text says where to look.
_STRIDE = 9
_AS_ZERO = bytes(ord("0") if chr(code) in "0123456789" else ord(" ") for code in range(256))


class Rubbish(ValueError):  # noqa: N818 - what a server wrote is rubbish or a message
    """What a server wrote is no JSON-RPC message."""


class Sort(Enum):
    """The three sorts of messages."""

    REQUEST = auto()
    NOTIFICATION = auto()
    ANSWER = auto()


def decode(untrusted: bytes | bytearray) -> JsonObject:
    """The one JSON object in `untrusted`, integers of any size kept.

    Raises:
        Rubbish: it is none, is nested deeper than `MAX_DEPTH`, or could not be written again.
    """
    try:
        value = _decode_slowly(bytes(untrusted)) if _has_long_number(untrusted) else orjson.loads(untrusted)
    except (ValueError, RecursionError) as error:
        raise Rubbish("not JSON") from error
    if not isinstance(value, dict):
        raise Rubbish("not an object")
    if may_be_deep(untrusted, MAX_DEPTH) and deeper_than(value, MAX_DEPTH):
        raise Rubbish("nested too deeply")
    return value


def _has_long_number(text: bytes | bytearray) -> bool:
    return b"00" in text[::_STRIDE].translate(_AS_ZERO) and _MANY_DIGITS.search(text) is not None


def _decode_slowly(text: bytes) -> Json:
    value = json.loads(text.decode("utf-8"))
    # Infinity, NaN and lone surrogates are read by the standard library but are no JSON that others could read.
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    return value


def encode(message: JsonObject) -> bytes:
    """`message` as UTF-8 on one line, without the line's end.

    Raises:
        ValueError: it holds what is no JSON (NaN, a lone surrogate).
    """
    try:
        return orjson.dumps(message)
    except TypeError:  # integers beyond 64 bits
        return json.dumps(message, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def may_be_deep(text: bytes | bytearray, limit: int) -> bool:
    """Whether there are more than `limit` opening brackets in JSON text; else it is not nested deeper either."""
    # To find some takes a tenth of the time that counting all in a long text does.
    found = 0
    for bracket in (b"[", b"{"):
        at = text.find(bracket)
        while at >= 0 and found <= limit:
            found += 1
            at = text.find(bracket, at + 1)
    return found > limit


def deeper_than(value: Json, limit: int) -> bool:
    """Whether `value` is nested more than `limit` deep."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def sort_of(message: JsonObject) -> Sort:
    """Which sort of message this is.

    Raises:
        Rubbish: none that JSON-RPC 2.0 or MCP knows (an id is a string or an integer, never null).
    """
    if message.get("jsonrpc") != "2.0":
        raise Rubbish("not JSON-RPC 2.0")
    has_id = "id" in message
    if has_id and (isinstance(message["id"], bool) or not isinstance(message["id"], str | int)):
        raise Rubbish("an id that is none")
    if "method" in message:
        if not isinstance(message["method"], str) or not isinstance(message.get("params", {}), dict):
            raise Rubbish("a method or parameters that are none")
        return Sort.REQUEST if has_id else Sort.NOTIFICATION
    if has_id and ("result" in message) != ("error" in message):
        return Sort.ANSWER
    raise Rubbish("neither a request nor an answer")


def request(request_id: str, method: str, params: JsonObject | None) -> JsonObject:
    """A request; `params` that are None are left out, empty ones are kept."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **({} if params is None else {"params": params})}


def notification(method: str, params: JsonObject | None) -> JsonObject:
    """A notification."""
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})}


def error(code: int, message: str) -> JsonObject:
    """A JSON-RPC error object."""
    return {"code": code, "message": message}
