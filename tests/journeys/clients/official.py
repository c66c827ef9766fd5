"""A client on the official SDK: `official.py legacy|2026-07-28|auto COMMAND`, the command as a JSON array.

Reads and prints what the other clients do: an empty line, then "waiting", then what it saw as one JSON object.
"""

import asyncio
import json
import os
import sys
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import ElicitResult

SIZE = 5_000_000


async def main(mode: str, bridge: StdioServerParameters) -> dict[str, Any]:
    steps: list[float] = []

    async def progress(step: float, _total: float | None, _message: str | None) -> None:
        steps.append(step)

    async def answer(_context: object, _params: object) -> ElicitResult:
        return ElicitResult(action="accept", content={"colour": "green"})

    async with Client(stdio_client(bridge), mode=mode, elicitation_callback=answer) as client:
        tools = sorted(tool.name for tool in (await client.list_tools()).tools)
        counted = await client.call_tool("steps", {"count": 5}, progress_callback=progress)
        asked = await client.call_tool("ask", {})
        big = await client.call_tool("big", {"size": SIZE})
        waiting = asyncio.create_task(client.call_tool("wait", {}))
        print("waiting", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        after = await client.call_tool("steps", {"count": 1})
    return {
        "tools": tools,
        "steps": steps,
        "counted": counted.content[0].text,
        "asked": asked.content[0].text,
        "big": len(big.content[0].text),
        "after": after.content[0].text,
    }


sys.stdin.readline()
command, *rest = json.loads(sys.argv[2])
started = StdioServerParameters(command=command, args=rest, env=dict(os.environ))
print(json.dumps(asyncio.run(main(sys.argv[1], started))))
