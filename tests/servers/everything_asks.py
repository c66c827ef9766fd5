"""The part of the conformance suite's server that asks the client: during a call, or in its answer."""

import json
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

Answer = str | InputRequiredResult
STATE = "a state of the server's own"
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
CHOICES = {
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {
        "type": "string",
        "oneOf": [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)],
    },
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]},
    },
}


def _form(message: str, **fields: str) -> ElicitRequest:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in fields.items()},
        "required": [*fields],
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> CreateMessageRequest:
    said = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[said], max_tokens=100))


def _field(answer: object, name: str) -> str:
    return str(answer.content.get(name)) if isinstance(answer, ElicitResult) and answer.content else "?"


async def _elicited(ctx: Context, message: str, properties: dict[str, Any]) -> str:
    schema = {"type": "object", "properties": properties, "required": []}
    got = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={got.action}, content={json.dumps(got.content or {})}"


def offer_questions(server: MCPServer) -> None:
    """Add the tools and the prompt."""
    _offer_requests(server)
    _offer_single_rounds(server)
    _offer_choices(server)
    _offer_states(server)


def _offer_requests(server: MCPServer) -> None:
    @server.tool()
    async def test_sampling(prompt: str, ctx: Context) -> str:
        said = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        got = await ctx.session.create_message([said], max_tokens=100, related_request_id=ctx.request_id)
        return f"LLM response: {getattr(got.content, 'text', '')}"

    @server.tool()
    async def test_elicitation(message: str, ctx: Context) -> str:
        return "User response: " + await _elicited(ctx, message, {"response": {"type": "string"}})

    @server.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        return "Elicitation completed: " + await _elicited(ctx, "Please review", DEFAULTS)

    @server.tool()
    async def test_elicitation_sep1330_enums(ctx: Context) -> str:
        return "Elicitation completed: " + await _elicited(ctx, "Please select", CHOICES)

    @server.tool()
    async def test_missing_capability(ctx: Context) -> str:
        able = ctx.session.client_capabilities
        if able is None or able.sampling is None:
            needed = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message="sampling is needed", data=needed)
        return "able"


def _offer_single_rounds(server: MCPServer) -> None:
    @server.tool()
    async def test_input_required_result_elicitation(ctx: Context) -> Answer:
        if "user_name" in (given := ctx.input_responses or {}):
            return f"Hello, {_field(given['user_name'], 'name')}!"
        return InputRequiredResult(input_requests={"user_name": _form("What is your name?", name="string")})

    @server.tool()
    async def test_input_required_result_sampling(ctx: Context) -> Answer:
        if "capital_question" in (given := ctx.input_responses or {}):
            said = given["capital_question"]
            return getattr(said.content, "text", "?") if isinstance(said, CreateMessageResult) else "?"
        return InputRequiredResult(input_requests={"capital_question": _sample("What is the capital of France?")})

    @server.tool()
    async def test_input_required_result_list_roots(ctx: Context) -> Answer:
        if "client_roots" in (given := ctx.input_responses or {}):
            return f"{given['client_roots']}"
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


def _offer_choices(server: MCPServer) -> None:
    @server.tool()
    async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
        able = ctx.client_capabilities
        asked: dict[str, InputRequest] = {}
        if able is None or able.sampling is not None:
            asked["sample"] = _sample("Say hello")
        if able is None or able.elicitation is not None:
            asked["ask"] = _form("What is your name?", name="string")
        return InputRequiredResult(input_requests=asked, request_state=STATE)

    @server.prompt()
    async def test_input_required_result_prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
        if "user_context" in (given := ctx.input_responses or {}):
            text = f"Use the following context: {_field(given['user_context'], 'context')}"
            return [UserMessage(TextContent(type="text", text=text))]
        return InputRequiredResult(input_requests={"user_context": _form("Which context?", context="string")})


def _offer_states(server: MCPServer) -> None:
    @server.tool()
    async def test_input_required_result_request_state(ctx: Context) -> Answer:
        if "confirm" in (ctx.input_responses or {}) and ctx.request_state == STATE:
            return "state-ok: confirmed"
        return InputRequiredResult(input_requests={"confirm": _form("Confirm", ok="boolean")}, request_state=STATE)

    @server.tool()
    async def test_input_required_result_tampered_state(ctx: Context) -> Answer:
        if ctx.request_state is not None:
            return f"state-ok: {ctx.request_state}"
        return InputRequiredResult(input_requests={"confirm": _form("Confirm", ok="boolean")}, request_state=STATE)

    @server.tool()
    async def test_input_required_result_multiple_inputs(ctx: Context) -> Answer:
        if {"user_name", "greeting", "client_roots"} <= (ctx.input_responses or {}).keys():
            return "All inputs received."
        asked: dict[str, InputRequest] = {
            "user_name": _form("What is your name?", name="string"),
            "greeting": _sample("Generate a greeting"),
            "client_roots": ListRootsRequest(),
        }
        return InputRequiredResult(input_requests=asked, request_state=STATE)

    @server.tool()
    async def test_input_required_result_multi_round(ctx: Context) -> Answer:
        given = ctx.input_responses or {}
        if ctx.request_state == "1" and "step1" in given:
            asked: dict[str, InputRequest] = {"step2": _form("Step 2: your favourite colour?", color="string")}
            return InputRequiredResult(input_requests=asked, request_state="2")
        if ctx.request_state == "2" and "step2" in given:
            return f"You like {_field(given['step2'], 'color')}."
        return InputRequiredResult(
            input_requests={"step1": _form("Step 1: your name?", name="string")}, request_state="1"
        )
