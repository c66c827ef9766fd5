import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ztmcp_desktop.scan.hidden import look_alikes, signs, visible

EVERYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
HIDING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
SELECTORS = {chr(c) for c in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x180B, 0x1810))}


@pytest.mark.attack("T6")
@settings(max_examples=500)
@given(EVERYTHING)
def test_no_shown_text_has_a_character_that_hides(text: str) -> None:
    for char in visible(text):
        assert char in "\n\t" or (unicodedata.category(char) not in HIDING and char not in SELECTORS)


@pytest.mark.attack("T6")
def test_each_single_code_point_that_hides_is_shown_by_its_number() -> None:
    for code in range(0x110000):
        char = chr(code)
        if char not in "\n\t" and (unicodedata.category(char) in HIDING or char in SELECTORS):
            assert visible(char) == f"⟦U+{code:04X}⟧"


@pytest.mark.attack("T6", "C2")
@pytest.mark.parametrize(
    ("text", "shown", "sign"),
    [
        ("a\u202eb", "a⟦U+202E⟧b", "bidi"),
        ("a\u200bb", "a⟦U+200B⟧b", "hidden-unicode"),
        ("a\U000e0041b", "a⟦U+E0041⟧b", "tag-characters"),
        ("a\ufe01b", "a⟦U+FE01⟧b", "hidden-unicode"),
        ("\x1b[31mred", "⟦U+001B⟧[31mred", "ansi"),
        ("\x1b]8;;http://evil\x1b\\here", "⟦U+001B⟧]8;;http://evil⟦U+001B⟧\\here", "ansi"),
        ("\x9b31mred", "⟦U+009B⟧31mred", "ansi"),
        ("rm -rf /\rls      ", "rm -rf /⟦U+000D⟧ls      ", "overwrites-line"),
        ("a\0b", "a⟦U+0000⟧b", "control"),
        ("a\ud800b", "a⟦U+D800⟧b", "hidden-unicode"),
        ("a\ue000b", "a⟦U+E000⟧b", "hidden-unicode"),
        ("a\u3164b", "a⟦U+3164⟧b", "hidden-unicode"),
        ("p\u0430ssword", "p⟦U+0430⟧ssword", "look-alike"),
        ("\U0001d41aria", "⟦U+1D41A⟧ria", "look-alike"),
        ("e" + "\u0301" * 5, "e\u0301\u0301\u0301⟦U+0301⟧⟦U+0301⟧", "stacked-marks"),
    ],
)
def test_what_hides_is_shown_and_named(text: str, shown: str, sign: str) -> None:
    assert visible(text) == shown
    assert sign in signs(text)


def test_a_text_cannot_imitate_a_mark() -> None:
    assert visible("⟦U+202E⟧") == "⟦U+27E6⟧U+202E⟧"


def test_a_space_of_another_kind_is_told_from_a_space() -> None:
    assert visible("a\u00a0b\u2003c d") == "a⟦U+00A0⟧b⟦U+2003⟧c d"


@pytest.mark.attack("T4")
def test_a_whole_word_of_look_alikes_among_latin_ones_is_marked() -> None:
    assert "⟦U+0455⟧" in look_alikes("the \u0455\u0435\u0441\u0435 tool")


@pytest.mark.attack("T6")
@pytest.mark.parametrize("text", ["start" + "\n" * 300 + "end", "start" + " " * 300 + "end"])
def test_a_run_of_blanks_that_pushes_text_out_of_sight_is_a_sign(text: str) -> None:
    assert signs(text) == ("long-blank",)


@pytest.mark.parametrize(
    "text",
    [
        "Plain words,\r\n\tindented.\n",
        "Съешь ещё этих мягких булок, или code Python",
        "Ünïcödé naïve café “quoted”…",
        "family 👨‍👩‍👧 heart ❤️ keycap 1️⃣",
        "نمی‌خواهم",
        "क्‍ष",
        "漢字かなカナＡＢＣ１２３",
        "Δx = λ·µm",
        "10\u00a0000\u202f€",
    ],
)
def test_ordinary_writing_has_no_sign(text: str) -> None:
    assert signs(text) == ()


def test_plain_text_is_given_back_as_it_is() -> None:
    text = "def f(x):\n\treturn x  # ordinary\n" * 100
    assert visible(text) is text


def test_newline_and_tab_stay() -> None:
    assert visible("a\n\tb\u200b") == "a\n\tb⟦U+200B⟧"
