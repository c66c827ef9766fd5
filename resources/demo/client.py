"""The demo's example client: plain Python, speaks MCP over HTTP to the gateway and tells what it got.

Called with the endpoint and the notes folder; the token comes on standard input. Prints one JSON line a call.
"""

import json
import re
import sys
import urllib.request
from itertools import count
from typing import Any

ENDPOINT, FOLDER = sys.argv[1], sys.argv[2]
TOKEN = sys.stdin.readline().strip()
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
ids = count(1)
PATIENCE_S = 700


def post(message: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(ENDPOINT, data=json.dumps(message).encode(), headers=HEADERS)  # noqa: S310
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:  # noqa: S310 - loopback, given by the demo
        if session := response.headers.get("Mcp-Session-Id"):
            HEADERS["Mcp-Session-Id"] = session
        body = response.read().decode()
        if "text/event-stream" in response.headers.get("Content-Type", ""):
            events = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
            answers = [json.loads(event) for event in events if event]
            return next(answer for answer in answers if answer.get("id") == message.get("id"))
        return json.loads(body) if body else {}


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return post({"jsonrpc": "2.0", "id": next(ids), "method": method, "params": params})


def call(title: str, tool: str, **arguments: str) -> str:
    answer = request("tools/call", {"name": tool, "arguments": arguments})
    result = answer.get("result", {})
    text = "\n".join(part.get("text", "") for part in result.get("content", [])) or str(answer.get("error", ""))
    denial = result.get("_meta", {}).get("ztmcp/denial", {})
    print(json.dumps({"title": title, "tool": tool, "code": denial.get("code"), "text": text}), flush=True)
    return text


def main() -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "demo", "version": "1"}}
    answer = request("initialize", hello)
    HEADERS["MCP-Protocol-Version"] = answer["result"]["protocolVersion"]
    post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    call("read a note", "read_file", path=f"{FOLDER}/todo.md")
    call("write a note", "write_file", path=f"{FOLDER}/done.md", text="- tried ztmcp\n")
    rows = call("ask the database", "query", sql="SELECT name, email, phone, iban FROM people ORDER BY name")
    stand_in = re.search(r"<EMAIL_\d+>", rows)
    if stand_in:
        by_mail = f"SELECT name FROM people WHERE email = '{stand_in[0]}'"  # noqa: S608 - an example client's query
        call("ask again with a masked address", "query", sql=by_mail)
    call("reach outside the folder", "read_file", path="/etc/passwd")
    call("ask for the weather, which a rule permits without asking", "forecast", city="Vienna")
    call("ask again, after the tool's description changed", "forecast", city="Vienna")


main()
