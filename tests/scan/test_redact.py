import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztmcp_desktop.scan.redact import redact, redact_text

CARD = 4111111111111111


@pytest.mark.attack("P11")
def test_values_in_strings_keys_lists_and_numbers_are_all_gone() -> None:
    value = {
        "to": ["bob@example.com", {"note": "card 4111 1111 1111 1111"}],
        "ann@example.com": True,
        "pan": CARD,
        "float": float(CARD),
    }
    written = json.dumps(redact(value), ensure_ascii=False)
    assert "example.com" not in written
    assert "4111" not in written
    assert redact(value)["\u2039EMAIL\u203a"] is True


def test_a_key_says_what_a_bare_number_is() -> None:
    assert redact({"phone": "4155552671"}) == {"phone": "\u2039PHONE\u203a"}
    assert redact({"id": "4155552671"}) == {"id": "4155552671"}


def test_what_is_not_sensitive_stays_as_it_is() -> None:
    value = {"path": "/tmp/a.txt", "n": 12, "at": 1700000000000, "ok": None, "f": 1.5, "b": [True, False]}
    assert redact(value) == value


def test_what_is_no_json_is_never_passed_on() -> None:
    assert redact({"x": b"bob@example.com"}) == {"x": "\u2039UNKNOWN\u203a"}


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_address_between_any_words_is_gone(before: str, after: str) -> None:
    assert "bob.smith@example.com" not in redact_text(f"{before} bob.smith@example.com {after}")
