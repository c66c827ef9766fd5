"""The same echo without the SDK, in as little time as Python can: so that a gateway before it is what is measured.

fast.py PORT
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvicorn

INFO = {"name": "echo", "version": "1"}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOL = {"name": "echo", "description": "Gives the text back.", "inputSchema": TEXT}
CAPABILITIES: dict[str, Any] = {"tools": {}}
LASTING = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "public"}
JSON = [(b"content-type", b"application/json")]
NO_SUCH_METHOD = -32601
Send = Callable[[dict[str, Any]], Awaitable[None]]


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "tools/call":
            said = {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
            return {**said, "resultType": "complete"} if "_meta" in params else said
        case "tools/list":
            return {"tools": [TOOL], **LASTING} if "_meta" in params else {"tools": [TOOL]}
        case "initialize":
            return {"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES, "serverInfo": INFO}
        case "server/discover":
            meta = {"io.modelcontextprotocol/serverInfo": INFO}
            versions = ["2026-07-28", "2025-11-25"]
            return {"supportedVersions": versions, "capabilities": CAPABILITIES, "_meta": meta, **LASTING}
        case "ping":
            return {}
        case _:
            return None


def answered(message: dict[str, Any]) -> tuple[int, bytes]:
    """The status and the body for a message; nothing for a notification."""
    if "id" not in message:
        return 202, b""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    result = result_of(message["method"], message.get("params") or {})
    if result is None:
        error = {"code": NO_SUCH_METHOD, "message": "no such method"}
        return 404 if "_meta" in (message.get("params") or {}) else 200, orjson.dumps({**answer, "error": error})
    return 200, orjson.dumps({**answer, "result": result})


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    status, body = 405, b""
    if scope["method"] == "POST":
        part = await receive()
        given = part["body"]
        while part.get("more_body"):
            part = await receive()
            given += part["body"]
        status, body = answered(orjson.loads(given))
    headers = [*JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="error",
        access_log=False,
        timeout_keep_alive=600,
    )
