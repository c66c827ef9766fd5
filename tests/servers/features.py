"""A server on the Python SDK over stdio: progress, a call that waits, a question to the person, a large answer.

Called with the folder in which it marks that it waits and that it was told to stop.
"""

import sys
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

FOLDER = Path(sys.argv[1])
FORM = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
server = MCPServer("features")


@server.tool()
async def steps(ctx: Context, count: int) -> str:
    for number in range(count):
        await ctx.report_progress(number + 1, count, f"step {number + 1}")
        # Over stdio, the TypeScript SDK forgets who waits for progress that it reads in one piece with the answer.
        await anyio.sleep(0.05)
    return f"{count} steps"


@server.tool()
async def wait() -> str:
    (FOLDER / "waiting").touch()
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        (FOLDER / "cancelled").touch()
        raise


@server.tool()
async def ask(ctx: Context) -> str | InputRequiredResult:
    """Ask in the way of the era: in the answer, or during the call."""
    if ctx.request_context.session.protocol_version < "2026":
        got = await ctx.session.elicit_form("Which colour?", FORM, related_request_id=ctx.request_id)
    elif ctx.input_responses is None:
        question = ElicitRequest(params=ElicitRequestFormParams(message="Which colour?", requested_schema=FORM))
        return InputRequiredResult(input_requests={"colour": question}, request_state="of the server")
    else:
        answer = ctx.input_responses["colour"]
        got = answer if isinstance(answer, ElicitResult) else ElicitResult(action="cancel")
    return f"{got.action} {(got.content or {}).get('colour')}"


@server.tool()
async def big(size: int) -> str:
    return "x" * size


server.run()
