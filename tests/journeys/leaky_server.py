"""A server that gives away what it has: its environment, and personal data. Plain Python, over stdio."""

import base64
import json
import os
import sys
from typing import Any
from urllib.parse import quote

PERSON = (
    "Write to ada.king@lovelace.example or call +44 20 7946 0018; card 4111 1111 1111 1111, GB82WEST12345698765432."
)
TOOLS = [
    {"name": name, "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}
    for name in ("environment", "person", "echo")
]


def result(params: dict[str, Any]) -> dict[str, Any]:
    match params["name"]:
        case "environment":
            token = os.environ.get("TOKEN", "")
            forms = [token, base64.b64encode(token.encode()).decode(), quote(token, safe=""), token.encode().hex()]
            text = " ".join(forms)
        case "person":
            text = PERSON
        case _:
            text = params["arguments"]["text"]
    sys.stderr.write(f"log: {text}\n")
    return {"content": [{"type": "text", "text": text}]}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        server = {"name": "leaky", "version": "1"}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
    return {"tools": TOOLS} if method == "tools/list" else result(params) if method == "tools/call" else {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        reply = {
            "jsonrpc": "2.0",
            "id": message["id"],
            "result": answer(message["method"], message.get("params") or {}),
        }
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
