"""The stand-ins for masked values."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztmcp_desktop.domain.names import ServerName, SessionId
from ztmcp_desktop.pipeline import surrogates
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.surrogates import Surrogates

S1, S2 = SessionId("s1"), SessionId("s2")
FILES, MAIL = ServerName("files"), ServerName("mail")
VALUE = "ada@lovelace.example"


@pytest.mark.attack("P11")
@pytest.mark.promise("R8")
def test_a_stand_in_is_turned_back_only_for_its_own_server_and_session() -> None:
    book = Surrogates()
    token = book.stand_in(S1, FILES, "EMAIL", VALUE)
    assert book.restore(S1, MAIL, token) == (token, ())
    assert book.restore(S2, FILES, token) == (token, ())
    assert book.restore(S1, FILES, f"to {token}!") == (f"to {VALUE}!", (("EMAIL", 1),))


def test_what_a_session_knew_is_forgotten_with_it() -> None:
    book = Surrogates()
    token = book.stand_in(S1, FILES, "EMAIL", VALUE)
    book.forget(S1)
    assert book.restore(S1, FILES, token) == (token, ())


def test_the_same_value_has_the_same_stand_in_and_another_another() -> None:
    book = Surrogates()
    first = book.stand_in(S1, FILES, "EMAIL", VALUE)
    assert book.stand_in(S1, FILES, "EMAIL", VALUE) == first
    assert book.stand_in(S1, FILES, "EMAIL", "x" + VALUE) != first


def test_beyond_the_limit_a_stand_in_has_no_number_and_is_never_turned_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogates, "MAX_VALUES", 1)
    book = Surrogates()
    book.stand_in(S1, FILES, "EMAIL", VALUE)
    assert book.stand_in(S1, FILES, "EMAIL", "b@lovelace.example") == "<EMAIL>"
    assert book.restore(S1, FILES, "<EMAIL>") == ("<EMAIL>", ())


def test_no_value_is_in_any_text_form() -> None:
    book = Surrogates()
    book.stand_in(S1, FILES, "EMAIL", VALUE)
    assert VALUE not in repr(book)
    assert VALUE not in repr(book._books)


@given(st.text(max_size=60), st.sampled_from([VALUE, "4111 1111 1111 1111", "GB82WEST12345698765432"]))
def test_what_is_masked_is_restored_as_it_was(text: str, value: str) -> None:
    book = Surrogates()
    whole = f"{text} {value} "
    masked, _ = Masker(book).mask_value(S1, FILES, whole)
    assert value not in masked
    if "<" not in text:
        assert book.restore(S1, FILES, masked)[0] == whole


@pytest.mark.attack("P11")
def test_values_that_are_masked_in_many_threads_never_share_a_stand_in() -> None:
    book, before = Surrogates(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(lambda n: book.stand_in(SessionId("s"), ServerName("files"), "EMAIL", f"v{n}"), range(5000))
            )
    finally:
        sys.setswitchinterval(before)
    assert len(set(found)) == len(found)
