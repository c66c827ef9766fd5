import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztmcp_desktop.gateway.jsonrpc import MAX_DEPTH, Rubbish, Sort, decode, deeper_than, encode, request, sort_of


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"[]", b'"x"', b"1", b"{", b'{"a":NaN}', b"\xff", b'{"a":1}{}', b'{"a":"\\ud800"}', b'{"a":1e999}']
    + [b'{"n":12345678901234567890123,"a":' + rest for rest in (b"NaN}", b'"\\ud800"}', b"1e999}")],
)
def test_what_is_no_object_is_rubbish(line: bytes) -> None:
    with pytest.raises(Rubbish):
        decode(line)


@pytest.mark.attack("N8")
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000, 1_000_000])
def test_deep_nesting_is_rubbish(depth: int) -> None:
    with pytest.raises(Rubbish):
        decode(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


def test_many_flat_brackets_are_not_deep() -> None:
    assert decode(encode({"a": [{}] * 1000})) == {"a": [{}] * 1000}
    assert not deeper_than([[1]], 2)


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.booleans()))
def test_what_is_written_is_read_again(value: dict[str, object]) -> None:
    line = encode(value)
    assert b"\n" not in line
    assert decode(line) == value


@pytest.mark.attack("N9")
@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "result": {}},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": None, "result": {}},
        {"jsonrpc": "2.0", "id": True, "result": {}},
        {"jsonrpc": "2.0", "id": "a", "result": {}, "error": {}},
        {"jsonrpc": "2.0", "id": 1.5, "method": "x"},
        {"jsonrpc": "2.0", "method": 5},
        {"jsonrpc": "2.0", "method": "x", "params": []},
    ],
)
def test_what_is_no_message_is_rubbish(message: dict[str, object]) -> None:
    with pytest.raises(Rubbish):
        sort_of(message)


def test_empty_parameters_are_kept() -> None:
    assert request("a", "m", {})["params"] == {}
    assert "params" not in request("a", "m", None)
    assert sort_of(request("a", "m", None)) is Sort.REQUEST
