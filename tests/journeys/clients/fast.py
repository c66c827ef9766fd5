"""A client on fastmcp, run in an environment of its own: `fast.py ENDPOINT`, the token on standard input.

In the place of ENDPOINT stands a command as a JSON array for a client that speaks stdio.
Prints what it saw as one JSON object.
"""

import asyncio
import json
import os
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import ClientTransport, StdioTransport, StreamableHttpTransport

SIZE = 5_000_000


async def main(endpoint: str, token: str) -> dict[str, Any]:
    steps: list[float] = []

    async def progress(step: float, _total: float | None, _message: str | None) -> None:
        steps.append(step)

    async def answer(*_asked: object) -> dict[str, str]:
        return {"colour": "green"}

    transport: ClientTransport
    if endpoint.startswith("["):
        command, *arguments = json.loads(endpoint)
        transport = StdioTransport(command, arguments, env=dict(os.environ))
    else:
        transport = StreamableHttpTransport(endpoint, headers={"Authorization": f"Bearer {token}"})
    async with Client(transport, elicitation_handler=answer) as client:
        tools = sorted(tool.name for tool in await client.list_tools())
        counted = await client.call_tool("steps", {"count": 5}, progress_handler=progress)
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


print(json.dumps(asyncio.run(main(sys.argv[1], sys.stdin.readline().strip()))))
