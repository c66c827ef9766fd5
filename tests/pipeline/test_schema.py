"""Schemas of servers: hostile until checked."""

import contextlib
import socket
import time
from typing import Any

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.pipeline.schema import Schemas

MAX_S = 3.0


def mismatch(schema: Any, value: Any) -> str | None:
    return Schemas().mismatch("pin", "inputSchema", schema, value)


@pytest.mark.attack("O9")
@pytest.mark.parametrize("reference", ["file:///etc/passwd", "http://127.0.0.1:{port}/s.json", "other.json"])
def test_a_reference_out_of_the_schema_is_refused_and_nothing_is_fetched(reference: str) -> None:
    with socket.socket() as canary:
        canary.bind(("127.0.0.1", 0))
        canary.listen()
        canary.settimeout(0.2)
        with pytest.raises(Denial) as refused:
            mismatch({"$ref": reference.format(port=canary.getsockname()[1])}, {"a": 1})
        assert refused.value.code is Code.SCHEMA_MISMATCH
        with pytest.raises(TimeoutError):
            canary.accept()


def many(count: int) -> dict[str, Any]:
    return {"anyOf": [{"const": number} for number in range(count)]}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"anyOf": [{"allOf": [schema, schema]}, {"oneOf": [schema, schema]}]}
    return schema


@pytest.mark.attack("O9")
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 5000 + "!"),
        ({"patternProperties": {"^(x+x+)+y$": False}}, {"x" * 5000: 1}),
        ({"patternProperties": {"^(x+x+)+y$": {}}, "additionalProperties": False}, {"x" * 5000: 1}),
        ({"patternProperties": {"^(x+x+)+y$": {}}, "unevaluatedProperties": False}, {"x" * 5000: 1}),
        ({"allOf": [{"patternProperties": {"^(x+x+)+y$": {}}}], "unevaluatedProperties": False}, {"x" * 5000: 1}),
        (many(10_000), "none of them"),
        (nested(14), 1),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, 1),
        ({"uniqueItems": True}, [{"a": [number]} for number in range(20_000)]),
        ({"allOf": [{"uniqueItems": True}] * 50_000}, ["x" * 60_000]),
        ({"allOf": [{"enum": [[1] * 10_000]}] * 30_000}, [1] * 10_000),
        ({"allOf": [{"pattern": "(a|b)*"}] * 30_000}, "a" * 60_000),
        ({"allOf": [{"not": {"pattern": f"(a{{1,90}}|b){{1,9}}c{n}"}} for n in range(20_000)]}, "aa"),
        ({"patternProperties": {f"(x|y)*{n}": {} for n in range(90_000)}}, {"a" * 60_000: 1}),
    ],
)
def test_a_schema_that_is_a_bomb_is_checked_or_refused_in_bounded_time(schema: Any, value: Any) -> None:
    began = time.thread_time()
    with contextlib.suppress(Denial):
        mismatch(schema, value)
    assert time.thread_time() - began < MAX_S


@pytest.mark.parametrize("schema", ["text", 7, {"type": "no-such-type"}, {"properties": 5}])
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(Denial) as refused:
        mismatch(schema, {"a": 1})
    assert refused.value.code is Code.SCHEMA_MISMATCH


def test_a_value_that_does_not_fit_is_told_where_and_not_what() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    why = mismatch(schema, {"a": [1, "a secret value"]})
    assert why is not None
    assert "a/1" in why
    assert "secret" not in why


def test_what_fits_passes_in_older_drafts_too() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^x"}},
        "required": ["a"],
    }
    assert mismatch(schema, {"a": "xy"}) is None
    assert mismatch(schema, {"a": "y"}) is not None
    assert mismatch(schema, {}) is not None


def test_a_member_beyond_names_and_patterns_does_not_fit_where_none_is_allowed() -> None:
    schema = {"properties": {"a": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False}
    assert mismatch(schema, {"b": 1}) is not None
    assert mismatch(schema, {"a": 1, "x-b": 1}) is None
    assert mismatch({"additionalProperties": {"type": "integer"}}, {"b": "text"}) is not None
    assert mismatch({"additionalProperties": {"type": "integer"}}, {"b": 1}) is None


def test_a_long_list_of_short_texts_with_one_pattern_can_be_checked() -> None:
    assert mismatch({"items": {"pattern": "^[0-9]{4}-[0-9]{2}$"}}, ["2026-11"] * 15_000) is None
