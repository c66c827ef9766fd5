"""A client on fastmcp that logs in with nothing but the address: `fast_login.py ENDPOINT`; prints what came of it."""

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client


async def main(endpoint: str) -> dict[str, Any]:
    try:
        async with Client(endpoint, auth="oauth") as client:
            tools = sorted(tool.name for tool in await client.list_tools())
            called = await client.call_tool("steps", {"count": 1})
            return {"tools": tools, "called": called.content[0].text}
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is what the client was told
        return {"failure": f"{type(failure).__name__}: {failure}"}


print(json.dumps(asyncio.run(main(sys.argv[1]))))
