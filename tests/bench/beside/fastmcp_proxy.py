"""The proxy of fastmcp before a server over HTTP: fastmcp_proxy.py URL PORT [shared]"""

import asyncio
import sys
from contextlib import AsyncExitStack

from fastmcp import Client
from fastmcp.server import create_proxy


async def main(url: str, port: int, *, shared: bool) -> None:
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(Client(url)) if shared else url
        proxy = create_proxy(behind, name="bench")
        await proxy.run_async(
            transport="http", host="127.0.0.1", port=port, path="/mcp", show_banner=False, log_level="ERROR"
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), shared=sys.argv[3:] == ["shared"]))
