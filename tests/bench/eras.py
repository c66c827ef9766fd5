"""How a request is written in each protocol era, and how its answer is read."""

from enum import Enum
from typing import Any

import orjson


class Era(Enum):
    """The protocol version that a client speaks: with a session, or every request by itself."""

    HANDSHAKE = "2025-11-25"
    STATELESS = "2026-07-28"


INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
CLIENT = {"name": "bench", "version": "1"}
HELLO = {"protocolVersion": Era.HANDSHAKE.value, "capabilities": {}, "clientInfo": CLIENT}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": Era.STATELESS.value,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def request(era: Era, number: int, method: str, params: dict[str, Any]) -> bytes:
    """The body of a request; in the stateless era with the envelope that each one carries."""
    if era is Era.STATELESS:
        params = {**params, "_meta": ENVELOPE}
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def routing(era: Era, method: str, name: str) -> dict[str, str]:
    """The headers that say what the body says."""
    if era is Era.HANDSHAKE:
        return {} if method == "initialize" else {"MCP-Protocol-Version": era.value}
    headers = {"MCP-Protocol-Version": era.value, "Mcp-Method": method}
    return headers | ({"Mcp-Name": name} if name else {})


def result_of(body: bytes, number: int) -> dict[str, Any]:
    """The result of request `number` in a body of JSON or of server-sent events.

    Raises:
        ValueError: there is none, or it is an error.
    """
    lines = [line[5:] for line in body.splitlines() if line.startswith(b"data:") and line[5:].strip()] or [body]
    for message in map(orjson.loads, lines):
        if message.get("id") == number and "result" in message:
            result: dict[str, Any] = message["result"]
            return result
    raise ValueError(f"no result in {body[:300]!r}")


def tool_named(result: dict[str, Any], wanted: str) -> str:
    """The tool that is called so; some gateways put something before the name."""
    names = [str(tool["name"]) for tool in result["tools"]]
    found = [name for name in names if name == wanted] or [name for name in names if name.endswith(wanted)]
    if not found:
        raise ValueError(f"no tool {wanted} among {names[:20]}")
    return found[0]
