import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.gateway.wire import Rejection, dump, parse, request_id, require_shape

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.attack("N4")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"1",
        b'"text"',
        b"[]",
        b"{} {}",
        b"{}x",
        b"{}\x00",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":[{"a":1,"a":2}]}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"\\uDEAD":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":"\n"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' * 128 + b"{}" + b"}" * 128,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_one_plain_object_is_refused(body: bytes) -> None:
    with pytest.raises(Rejection) as refusal:
        parse(body, 128)

    assert refusal.value.status == 400
    assert refusal.value.__cause__ is None


def test_the_deepest_object_allowed_is_read() -> None:
    assert parse(b'{"a":' * 127 + b"{}" + b"}" * 127, 128) != {}


def test_brackets_in_strings_are_no_depth() -> None:
    assert parse(b'{"a":"' + b"[{" * 1000 + b'"}', 128) == {"a": "[{" * 1000}


@given(st.dictionaries(st.text(), VALUES))
def test_what_is_written_is_read_back_digit_by_digit(value: dict[str, object]) -> None:
    written = dump(value)

    assert parse(written, 1000) == value
    assert b"\n" not in written


@pytest.mark.parametrize("value", [float("nan") * 1, object(), {1, 2}])
def test_what_json_cannot_hold_is_a_fault_and_not_a_guess(value: object) -> None:
    if isinstance(value, float):
        # Together with an integer beyond 64 bits it comes to the second writer.
        with pytest.raises(Denial) as refusal:
            dump({"a": value, "b": 2**70})
    else:
        with pytest.raises(Denial) as refusal:
            dump({"a": value})

    assert refusal.value.code is Code.GATEWAY_FAULT


@pytest.mark.parametrize("number", [None, True, 1.5, [], {}, "x" * 257, 2**53 + 1])
def test_an_id_that_is_neither_text_nor_integer_is_refused(number: object) -> None:
    with pytest.raises(Rejection):
        request_id({"id": number})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "method": ""},
        {"jsonrpc": "2.0", "method": "x" * 129},
        {"jsonrpc": "2.0", "method": "x", "params": None},
        {"jsonrpc": "2.0", "method": "x", "error": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}},
        {"jsonrpc": "2.0", "id": 1, "result": 7},
        {"jsonrpc": "2.0", "result": {}},
    ],
)
def test_what_is_neither_request_nor_notification_nor_response_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(Rejection):
        require_shape(message)
