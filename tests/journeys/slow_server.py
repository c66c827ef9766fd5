"""A server of a few lines: `note` appends to a file, `wait` never answers. Plain Python, over stdio."""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if method == "initialize":
        server = {"name": "slow", "version": "1"}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": SCHEMA} for name in ("note", "wait")]}
    if method != "tools/call":
        return {}
    with (FOLDER / params["name"]).open("a") as file:
        file.write(params.get("arguments", {}).get("text", "") + "\n")
    return None if params["name"] == "wait" else {"content": [{"type": "text", "text": "noted"}]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        result = answer(message["method"], message.get("params") or {})
        if result is not None:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
            sys.stdout.flush()
