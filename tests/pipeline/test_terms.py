"""What a consent is to."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import identified, make_call
from tests.pipeline.conftest import World
from ztmcp_desktop.domain.call import Call, Direction
from ztmcp_desktop.domain.names import ClientName, Digest
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.terms import consent_digest, placeholder_name, placeholders, sent_params, shown_params

PROTOCOL = "io.modelcontextprotocol/"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def with_meta(**meta: Any) -> Call:
    named = {key.replace("__", "/"): value for key, value in meta.items()}
    return identified(make_call(params={"name": "read_file", "arguments": {"path": "/a"}, "_meta": named}))


def digest(world: World, call: Call, server: Server | None = None) -> Digest:
    return consent_digest(call, server or world.server, world.digester)


@pytest.mark.attack("C1")
@pytest.mark.parametrize(
    "meta",
    [
        {"baggage": "card=4111111111111111"},
        {"tracestate": "vendor=hidden"},
        {"traceparent": "the whole address book"},
        {PROTOCOL + "anything": {"hidden": "text"}},
        {PROTOCOL + "related-task": {"taskId": "t-1"}},
        {"vendor/key": "text"},
        {"progressToken": {"hidden": "text"}},
    ],
)
def test_nothing_is_sent_that_is_neither_shown_nor_covered_nor_of_one_fixed_form(
    world: World, meta: dict[str, Any]
) -> None:
    call = with_meta(**meta)
    (key,) = meta
    sent = sent_params(call).get("_meta", {})
    if key in sent:
        assert shown_params(call)["_meta"][key] == meta[key]
        assert digest(world, call) != digest(world, with_meta())


@pytest.mark.attack("C1")
@pytest.mark.parametrize("key", ["protocolVersion", "clientCapabilities", "clientInfo", "logLevel"])
def test_what_a_client_says_of_itself_is_not_sent_on(key: str) -> None:
    call = with_meta(**{PROTOCOL + key: {"hidden": "text"}})
    assert "_meta" not in sent_params(call)
    assert "_meta" not in shown_params(call)


def test_a_progress_token_and_a_trace_of_the_right_form_ask_no_new_consent(world: World) -> None:
    call = with_meta(progressToken="p-1", traceparent=TRACE)
    assert sent_params(call)["_meta"] == {"progressToken": "p-1", "traceparent": TRACE}
    assert digest(world, call) == digest(world, with_meta())


@pytest.mark.parametrize("meta", [[], "text", 7, None])
def test_what_is_no_meta_object_is_shown_as_it_is_sent(meta: object) -> None:
    call = identified(make_call(params={"name": "read_file", "_meta": meta}))
    assert shown_params(call) == sent_params(call) == {"name": "read_file", "_meta": meta}


@pytest.mark.attack("C1")
@pytest.mark.parametrize("member", ["task", "inputResponses", "vendor"])
def test_each_further_member_of_the_parameters_is_shown_and_covered(world: World, member: str) -> None:
    call = make_call(params={"name": "read_file", "arguments": {}, member: {"ttl": 1}})
    plain = make_call(params={"name": "read_file", "arguments": {}})
    assert shown_params(call)[member] == {"ttl": 1}
    assert digest(world, identified(call)) != digest(world, identified(plain))


@pytest.mark.attack("C1")
@pytest.mark.parametrize("what", ["client", "server", "method", "pin", "arguments", "direction"])
def test_a_yes_is_to_one_client_server_method_pin_direction_and_arguments(world: World, what: str) -> None:
    call = identified(make_call())
    other, server = call, world.server
    match what:
        case "client":
            other = replace(call, principal=replace(call.principal, client=ClientName("other")))
        case "server":
            server = replace(server, endpoint=LocalCommand(argv=("evil",)))
        case "method":
            other = replace(call, method="prompts/get")
        case "pin":
            other = identified(make_call(), {"name": "read_file", "description": "another"})
        case "arguments":
            other = identified(make_call(arguments={"path": "/b"}))
        case _:
            other = replace(call, direction=Direction.TO_CLIENT)
    assert digest(world, other, server) != digest(world, call)


@pytest.mark.parametrize("text", ["x {{secret:a}}", "{{secret:}}", "{{secret:{a}}}", "{secret:a}", " {{secret:a}}", 7])
def test_only_a_whole_placeholder_names_a_secret(text: object) -> None:
    assert placeholder_name(text) is None


def test_each_named_secret_is_told_once_in_order_and_none_in_keys() -> None:
    arguments = {"b": ["{{secret:two}}", {"c": "{{secret:one}}"}], "a": "{{secret:two}}", "{{secret:key}}": 1}
    assert placeholders(arguments) == ("two", "one")
