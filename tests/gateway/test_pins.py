import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import make_digester
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.offer import Change, ItemKind, Offer
from ztmcp_desktop.gateway.pins import compare, describe, pin, same, server_item, warnings

TOOL: dict[str, Any] = {
    "name": "read",
    "title": "Read",
    "description": "Reads.",
    "inputSchema": {"type": "object", "properties": {"how": {"enum": ["a", "b"]}}},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
    "icons": [{"src": "https://example.invalid/a"}],
    "_meta": {"v": 1},
}
SERVER = ServerName("files")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def offer(*tools: dict[str, Any], instructions: str | None = None, kind: ItemKind = ItemKind.TOOL) -> Offer:
    legacy = {"instructions": instructions} if instructions else {}
    return Offer(legacy=legacy, items={kind: tools})


@pytest.mark.attack("T2")
@pytest.mark.parametrize("part", [key for key in TOOL if key != "name"])
def test_each_part_of_a_tool_is_pinned(part: str) -> None:
    changed, without = copy.deepcopy(TOOL), copy.deepcopy(TOOL)
    changed[part] = {"type": "array"} if isinstance(changed[part], dict) else "other"
    del without[part]
    before = pin(make_digester(), SERVER, ItemKind.TOOL, TOOL).digest
    for other in (changed, without):
        assert pin(make_digester(), SERVER, ItemKind.TOOL, other).digest != before
        assert [c.name for c in compare(offer(TOOL), offer(other))] == ["read"]


@pytest.mark.attack("T2")
def test_one_value_of_an_enumeration_is_a_readable_change() -> None:
    changed = copy.deepcopy(TOOL)
    changed["inputSchema"]["properties"]["how"]["enum"][1] = "b\u202e"
    (change,) = compare(offer(TOOL), offer(changed))
    assert describe(change) == (
        "tool read changed",
        "inputSchema.properties.how.enum[1]:",
        "- b",
        "+ b⟦U+202E⟧",
    )


@pytest.mark.attack("T2")
def test_instructions_are_pinned() -> None:
    (change,) = compare(offer(instructions="Be kind."), offer(instructions="Be unkind."))
    assert change.kind is None
    assert describe(change) == ("server changed", "instructions:", "- Be kind.", "+ Be unkind.")
    digests = {pin(make_digester(), SERVER, None, server_item(offer(instructions=i))).digest for i in ("a", "b", None)}
    assert len(digests) == 3


@pytest.mark.attack("T2")
def test_the_order_of_keys_and_tools_is_no_change() -> None:
    other = {**TOOL, "name": "write"}
    turned = dict(reversed(TOOL.items()))
    assert compare(offer(TOOL, other), offer(other, turned)) == ()
    assert pin(make_digester(), SERVER, ItemKind.TOOL, TOOL) == pin(make_digester(), SERVER, ItemKind.TOOL, turned)


def test_new_and_missing_tools_are_changes_but_resources_come_and_go() -> None:
    changes = compare(offer(TOOL), offer({**TOOL, "name": "write"}))
    assert [describe(c) for c in changes] == [("tool read is not offered any more",), ("new tool write",)]
    file = {"uri": "file:///a", "name": "a"}
    assert compare(offer(file, kind=ItemKind.RESOURCE), offer(kind=ItemKind.RESOURCE)) == ()
    altered = compare(offer(file, kind=ItemKind.RESOURCE), offer({**file, "name": "b"}, kind=ItemKind.RESOURCE))
    assert len(altered) == 1


@given(JSON)
def test_a_value_is_the_same_after_a_journey(value: Any) -> None:
    assert same(value, json.loads(json.dumps(value)))


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, False), ("1", 1), (None, False), ([1], [1.0])])
def test_values_of_different_types_differ(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same({"a": one}, {"a": other})


@pytest.mark.attack("T4")
@pytest.mark.parametrize(
    "twin",
    ["Read", "rеad", "ｒead", "read ", "re\u200bad", "read\u202e", "re\u0301ad", "READ"],  # noqa: RUF001
)
def test_names_that_look_alike_are_told(twin: str) -> None:
    assert any("look alike" in warning for warning in warnings(offer(TOOL, {**TOOL, "name": twin})))


@pytest.mark.attack("T4")
def test_names_with_spaces_or_hidden_characters_are_told_visibly() -> None:
    (warning,) = warnings(offer({**TOOL, "name": "re\u200bad"}))
    assert "⟦U+200B⟧" in warning
    assert len(warnings(offer({**TOOL, "name": "read "}))) == 1


@pytest.mark.attack("T4")
def test_a_name_of_other_letters_is_another_thing() -> None:
    offered = offer({**TOOL, "name": "rеad"})  # noqa: RUF001
    assert offered.find(ItemKind.TOOL, "read") is None


def test_ordinary_names_raise_no_warning() -> None:
    assert warnings(offer(TOOL, {**TOOL, "name": "write_file"}, {**TOOL, "name": "list-2"})) == ()


def test_a_long_change_is_cut() -> None:
    before = {"name": "x", "enum": [str(n) for n in range(1000)]}
    after = {"name": "x", "enum": [str(-n - 1) for n in range(1000)]}
    lines = describe(Change(kind=ItemKind.TOOL, name="x", before=before, after=after))
    assert lines[-1] == "… and more"
    assert len(lines) < 210
