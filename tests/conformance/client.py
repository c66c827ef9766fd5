"""The client of the conformance suite's client scenarios, on the Python SDK: does what a scenario wants of a client.

The suite calls it with the address of the scenario's server (protocol.md 4.1). It knows nothing of the gateway but
that some servers want a token.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.context import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    ReadResourceResult,
    Request,
    RequestParams,
    Result,
    TextContent,
    TextResourceContents,
)
from pydantic import ConfigDict, ValidationError

MODERN = "2026-07-28"
PATIENCE_S = 25.0
_STAND_INS: dict[str, Any] = {"string": "x", "integer": 0, "number": 0, "boolean": False, "object": {}, "array": []}


class SkillList(Result):
    """The answer to `skills/list` (SEP-2640), as it comes."""

    model_config = ConfigDict(extra="allow")
    skills: list[dict[str, Any]]


async def defaults(_: ClientRequestContext, asked: ElicitRequestParams) -> ElicitResult:
    """A person who accepts each form as it stands (SEP-1034); a yes where it has no defaults."""
    fields = asked.requested_schema.get("properties", {}) if isinstance(asked, ElicitRequestFormParams) else {}
    return ElicitResult(action="accept", content={name: field.get("default", True) for name, field in fields.items()})


async def sampled(_: ClientRequestContext, asked: CreateMessageRequestParams) -> CreateMessageResult:
    del asked
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=""), model="none")


async def roots(_: ClientRequestContext) -> ListRootsResult:
    return ListRootsResult(roots=[])


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Client]:
    token = os.environ.get("CONFORMANCE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    mode = "auto" if os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"] == MODERN else "legacy"
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    auth = None
    if scenario.startswith("auth/") and not token:
        # Found beside this program; the tests import this module for its table alone.
        from sdk_login import provider

        auth = await provider(scenario, url)
    async with (
        httpx2.AsyncClient(headers=headers, auth=auth, timeout=PATIENCE_S, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, **options) as client,
    ):
        yield client


async def lists(url: str) -> None:
    async with opened(url) as client:
        await client.list_tools()


async def greets(url: str) -> None:
    async with opened(url) as client:
        # The server does not say that it has tools, and the gateway does not list what a server does not offer.
        with suppress(MCPError):
            await client.list_tools()


async def adds(url: str) -> None:
    async with opened(url) as client:
        await client.list_tools()
        result = await client.call_tool("add_numbers", {"a": 5, "b": 3})
        assert "8" in str(result.content), result


async def waits_for_the_second_stream(url: str) -> None:
    async with opened(url) as client:
        await client.list_tools()
        result = await client.call_tool("test_reconnection", {})
        assert "completed" in str(result.content), result


async def accepts_the_defaults(url: str) -> None:
    async with opened(url, elicitation_callback=defaults) as client:
        await client.list_tools()
        await client.call_tool("test_client_elicitation_defaults", {})


async def declares_all(url: str) -> None:
    async with opened(
        url, elicitation_callback=defaults, sampling_callback=sampled, list_roots_callback=roots
    ) as client:
        with suppress(MCPError):
            await client.list_tools()


async def echoes_a_schema(url: str) -> None:
    async with opened(url) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        await client.call_tool("json_schema_echo", {"schema": tools["json_schema_2020_12_tool"].input_schema})


async def answers_in_rounds(url: str) -> None:
    async with opened(url, elicitation_callback=defaults) as client:
        await client.list_tools()
        for tool in ("echo_state", "unrelated", "no_state"):
            await client.call_tool(f"test_mrtr_{tool}", {})
        # The SDK does not take an answer without `resultType`; what counts is that nothing is asked again.
        with suppress(ValidationError):
            await client.call_tool("test_mrtr_no_result_type", {})


async def uses_all(url: str) -> None:
    """Make each kind of request that has a name in a header."""
    async with opened(url) as client:
        for tool in (await client.list_tools()).tools:
            await client.call_tool(tool.name, {})
        for resource in (await client.list_resources()).resources:
            await client.read_resource(resource.uri)
        for prompt in (await client.list_prompts()).prompts:
            await client.get_prompt(prompt.name)


async def calls_what_it_is_told(url: str) -> None:
    async with opened(url) as client:
        await client.list_tools()
        for call in json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])["toolCalls"]:
            await client.call_tool(call["name"], call["arguments"])


async def calls_all_it_sees(url: str) -> None:
    """Call each tool that the SDK shows; it sets those aside whose headers cannot be made (SEP-2243)."""
    async with opened(url) as client:
        for tool in (await client.list_tools()).tools:
            kinds = {name: kind.get("type") for name, kind in tool.input_schema.get("properties", {}).items()}
            with suppress(MCPError):
                await client.call_tool(tool.name, {name: _STAND_INS.get(kind) for name, kind in kinds.items()})


async def skills(client: Client) -> list[dict[str, Any]]:
    asked = Request[RequestParams, str](method="skills/list", params=RequestParams())
    return (await client.session.send_request(asked, SkillList)).skills


async def lists_skills(url: str) -> None:
    async with opened(url) as client:
        assert await skills(client)


async def loads_a_skill(url: str) -> None:
    """Read the files of the first skill, each checked against its entry, and stop at the first that differs."""
    async with opened(url) as client:
        skill = (await skills(client))[0]
        for entry in skill["resources"]:
            found = text_of(await client.read_resource(entry["uri"]))
            whole = len(found.encode()) == entry["size"]
            same = "sha256:" + hashlib.sha256(found.encode()).hexdigest() == entry["digest"]
            if not whole or not same or (entry["uri"] == skill["uri"] and matter(found) != skill["frontmatter"]):
                return


def text_of(read: ReadResourceResult) -> str:
    part = read.contents[0]
    assert isinstance(part, TextResourceContents)
    return part.text


def matter(text: str) -> dict[str, str]:
    """The front matter of a skill, which is flat in the suite's."""
    lines = text.split("---\n")[1].splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def logs_in(url: str) -> None:
    """Call the first tool; what the scenario looks at is how the client came to be allowed to."""
    async with opened(url) as client:
        if tools := (await client.list_tools()).tools:
            with suppress(MCPError):
                await client.call_tool(tools[0].name, {})


SCENARIOS: dict[str, Callable[[str], Awaitable[None]]] = {
    "initialize": greets,
    "tools_call": adds,
    "sse-retry": waits_for_the_second_stream,
    "elicitation-sep1034-client-defaults": accepts_the_defaults,
    "request-metadata": declares_all,
    "json-schema-ref-no-deref": lists,
    "json-schema-2020-12-preservation": echoes_a_schema,
    "sep-2322-client-request-state": answers_in_rounds,
    "http-standard-headers": uses_all,
    "http-custom-headers": calls_what_it_is_told,
    "http-invalid-tool-headers": calls_all_it_sees,
    "sep-2640-client-no-prefetch": lists_skills,
    "sep-2640-client-verify-digest": loads_a_skill,
    "sep-2640-client-verify-size": loads_a_skill,
    "sep-2640-client-verify-frontmatter": loads_a_skill,
}

if __name__ == "__main__":
    named = os.environ["MCP_CONFORMANCE_SCENARIO"]
    asyncio.run((logs_in if named.startswith("auth/") else SCENARIOS[named])(sys.argv[1]))
