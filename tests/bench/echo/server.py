"""The server that calls are measured against: one tool that gives its text back, on the official SDK.

server.py stdio, or server.py PORT for Streamable HTTP.
"""

import asyncio
import sys
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


async def _tools(_context: Any, _params: Any) -> types.ListToolsResult:
    tool = types.Tool(name="echo", description="Gives the text back.", input_schema=TEXT)
    return types.ListToolsResult(tools=[tool])


async def _call(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    said = str((params.arguments or {})["text"])
    return types.CallToolResult(content=[types.TextContent(type="text", text=said)])


async def _over_pipes(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def main() -> None:
    server: Server[Any] = Server("echo", version="1", on_list_tools=_tools, on_call_tool=_call)
    if sys.argv[1] == "stdio":
        asyncio.run(_over_pipes(server))
        return
    import uvicorn

    app = server.streamable_http_app(host="127.0.0.1")
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, timeout_keep_alive=600
    )


if __name__ == "__main__":
    main()
