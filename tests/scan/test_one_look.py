"""One look at many texts, or at a part of one, may save the long one only where the long one would find nothing."""

import re

import pytest

from ztmcp_desktop.gateway.jsonrpc import decode
from ztmcp_desktop.pipeline.screen import signs_in
from ztmcp_desktop.scan.hidden import BLANK_RUN, signs
from ztmcp_desktop.scan.personal import PERSONAL
from ztmcp_desktop.scan.redact import redact
from ztmcp_desktop.scan.sensitive import find, occurs_in
from ztmcp_desktop.scan.tokens import TOKENS

SAMPLES = (
    "ada@lovelace.example",
    "+44 20 7946 0018",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "ghp_" + "a1" * 18,
    "-----BEGIN RSA PRIVATE KEY-----",
    "aws_secret = " + "aB3/" * 10,
    "%61da%40lovelace.example",
    "YWRhQGxvdmVsYWNlLmV4YW1wbGU=",
)


@pytest.mark.parametrize("source", [source for _, source, *_ in (*TOKENS, *PERSONAL)])
def test_no_pattern_tells_the_end_of_a_text_from_the_end_of_a_line(source: bytes) -> None:
    bare = re.sub(rb"\[(?:\\.|[^\]])+\]|\\[^zA]", b"", source)
    assert not {b"^", b"$"} & {bytes((byte,)) for byte in bare}
    assert b"\\A" not in bare
    assert bare.count(b"\\z") == bare.count(b"|\\z)")


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_is_found_in_one_text_is_seen_among_others(sample: str) -> None:
    assert find(sample)
    assert occurs_in(["a", sample, "b"])
    assert redact({"a": [1, sample], "b": {"c": "d"}}) != {"a": [1, sample], "b": {"c": "d"}}


def test_a_letter_that_hides_is_seen_although_other_texts_have_its_script() -> None:
    assert signs_in(["p\u0430ss"]) == signs_in(["p\u0430ss", "\u0436\u0443\u043a"]) == ("look-alike",)


@pytest.mark.parametrize("blank", [" ", "\t", " \t", "\n"])
def test_a_long_blank_is_found_wherever_it_begins(blank: str) -> None:
    run = (blank * BLANK_RUN)[:BLANK_RUN]
    for offset in range(BLANK_RUN):
        assert signs("x" * offset + run + "x") == ("long-blank",)
        assert signs("x" * offset + run[1:] + "x") == ()


def test_a_long_number_keeps_its_digits_wherever_it_stands() -> None:
    for offset in range(20):
        assert decode(b'{"' + b"x" * offset + b'":12345678901234567890123}') == {"x" * offset: 12345678901234567890123}
