"""A stdio server in plain JSON lines that says outside of calls what a call told it to say, in one era only.

`telling.py ERA TRACE`: what it was asked is written to TRACE. A call's `then` is said after its answer, `during` before
it; `$id` in a message stands for the id of the stream that is listened on; `die` ends the process after the answer.
With the era `shy` it is of 2026-07-28 and agrees to no resource; with `hasty` it is of the older one, and writes to its
log before anybody has called it.
"""

import json
import os
import sys
from pathlib import Path

ERA, TRACE = sys.argv[1], Path(sys.argv[2])
MODERN = ERA not in {"legacy", "hasty"}
CAPABILITIES = {"tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True}}
TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
listening: list[str] = []


def say(message: dict) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def say_all(messages: list[dict]) -> None:
    for message in messages:
        text = json.dumps(message).replace("$id", listening[-1] if listening else "none")
        say(json.loads(text))


def note(line: str) -> None:
    with TRACE.open("a") as trace:
        trace.write(line + "\n")


def answer(message: dict) -> dict | None:  # noqa: PLR0911 - one case a method
    """The result of what this era has; None for all else."""
    params = message.get("params", {})
    match message["method"]:
        case "initialize" if not MODERN:
            return {
                "protocolVersion": "2025-11-25",
                "capabilities": {**CAPABILITIES, "logging": {}},
                "serverInfo": {"name": "telling", "version": "1"},
            }
        case "server/discover" if MODERN:
            return {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES, "resultType": "complete"}
        case "tools/list":
            if ERA == "hasty":
                say({"method": "notifications/message", "params": {"level": "error", "data": "hello"}})
            return {"tools": [TOOL]}
        case "resources/list":
            return {"resources": []}
        case "resources/templates/list":
            return {"resourceTemplates": []}
        case "logging/setLevel" if not MODERN:
            return {}
        case "resources/subscribe" | "resources/unsubscribe" if not MODERN:
            note(f"{message['method'].partition('/')[2]} {params['uri']}")
            return {}
        case "tools/call":
            say_all(params.get("arguments", {}).get("during", []))
            return {"content": []}
        case _:
            return None


def listen(message: dict) -> None:
    wanted = message["params"]["notifications"]
    note(f"listen {' '.join(wanted.get('resourceSubscriptions', []))}".strip())
    listening.append(message["id"])
    agreed = {key: value for key, value in wanted.items() if ERA != "shy" or key != "resourceSubscriptions"}
    meta = {"io.modelcontextprotocol/subscriptionId": message["id"]}
    params = {"_meta": meta, "notifications": agreed}
    say({"method": "notifications/subscriptions/acknowledged", "params": params})


for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "notifications/cancelled":
        note(f"cancelled {'old' if message['params']['requestId'] in listening[:-1] else 'last'}")
    if "id" not in message:
        continue
    if message["method"] == "subscriptions/listen" and MODERN:
        listen(message)
        continue
    result = answer(message)
    if result is None:
        say({"id": message["id"], "error": {"code": -32601, "message": "unknown"}})
        continue
    say({"id": message["id"], "result": result})
    arguments = message.get("params", {}).get("arguments", {})
    say_all(arguments.get("then", []))
    if arguments.get("die"):
        os._exit(3)
