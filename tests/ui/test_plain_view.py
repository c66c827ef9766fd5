import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.ui.samples import WORST
from ztmcp_desktop.ui.argument_rows import Kind, Row, as_rows
from ztmcp_desktop.ui.plain_view import PlainView, wrap
from ztmcp_desktop.ui.theme import fixed_font

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def shown(value: object) -> str:
    return "".join(row.path + row.value for row in as_rows(value))


@pytest.mark.attack("T6")
@given(st.text())
def test_no_character_that_hides_or_steers_is_shown_as_itself(text: str) -> None:
    for character in shown({"key": text, text: 1}):
        assert character in "\n\t" or unicodedata.category(character) not in HIDDEN


@pytest.mark.attack("T6")
def test_the_worst_text_shows_its_marks() -> None:
    text = shown(WORST)
    for mark in ("⟦U+202E⟧", "⟦U+200B⟧", "⟦U+E0041⟧", "⟦U+001B⟧", "⟦U+000D⟧", "⟦U+0430⟧"):
        assert mark in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_leaf_has_its_row(value: object) -> None:
    def leaves(part: object) -> int:
        if isinstance(part, dict) and part:
            return sum(leaves(inner) for inner in part.values())
        if isinstance(part, list) and part:
            return sum(leaves(inner) for inner in part)
        return 1

    assert len(as_rows(value)) == leaves(value)


def test_text_cannot_pass_for_a_literal_nor_a_literal_for_text() -> None:
    rows = {row.path: row for row in as_rows({"a": "true", "b": True, "c": "", "d": "(empty)", "e": None})}
    assert (rows["a"].value, rows["a"].kind) == ('"true"', Kind.TEXT)
    assert (rows["b"].value, rows["b"].kind) == ("true", Kind.LITERAL)
    assert (rows["c"].value, rows["c"].kind) == ("(empty)", Kind.LITERAL)
    assert (rows["d"].value, rows["d"].kind) == ('"(empty)"', Kind.TEXT)
    assert (rows["e"].value, rows["e"].kind) == ("null", Kind.LITERAL)


def test_a_key_with_a_dot_cannot_imitate_a_path() -> None:
    assert [row.path for row in as_rows({"a.b": 1, "a": {"b": 2}})] == ['["a.b"]', "a.b"]


def test_nesting_of_any_depth_is_shown() -> None:
    deep: object = "core"
    for _ in range(5000):
        deep = [deep]
    (row,) = as_rows(deep)
    assert row.value == "core"


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="\n"), max_size=300))
def test_wrapped_pieces_joined_are_the_text_and_each_fits(qapp: object, text: str) -> None:
    metrics = QFontMetricsF(fixed_font())
    pieces = wrap(text, 200.0, metrics)
    assert "".join(pieces) == text
    assert all(len(piece) == 1 or metrics.horizontalAdvance(piece) <= 200.0 + 1 for piece in pieces)


def test_a_line_breaks_between_words_and_inside_one_only_where_it_is_longer_than_a_line(qapp: object) -> None:
    metrics = QFontMetricsF(fixed_font())
    width = metrics.horizontalAdvance("M") * 12 + 1
    assert wrap("a call is refused today", width, metrics) == ["a call is ", "refused ", "today"]
    assert wrap("é call is refused today", width, metrics) == ["é call is ", "refused ", "today"]
    assert wrap("x" * 20, width, metrics) == ["x" * 12, "x" * 8]
    assert wrap("    " + "x" * 20, width, metrics)[0] == "    " + "x" * 8


@pytest.mark.attack("T6")
def test_text_below_ten_thousand_newlines_is_counted_as_hidden(qtbot: QtBot) -> None:
    view = PlainView()
    qtbot.addWidget(view)
    view.resize(500, 200)
    view.show_rows(as_rows({"text": "harmless" + "\n" * 10_000 + "rm -rf /"}))
    view.show()
    qtbot.waitUntil(lambda: view.hidden_lines < view.line_count, timeout=5000)
    assert view.hidden_lines > 9_900
    assert not view.all_seen


def test_lines_that_a_box_around_the_view_cuts_off_do_not_count_as_seen(qtbot: QtBot) -> None:
    box = QWidget()
    qtbot.addWidget(box)
    box.resize(500, 100)
    view = PlainView(box)
    view.resize(500, 2000)
    view.show_rows(tuple(Row(path="", value=f"line {n}") for n in range(40)))
    box.show()
    qtbot.waitUntil(lambda: view.hidden_lines < view.line_count, timeout=5000)
    assert 30 < view.hidden_lines < 40


@pytest.mark.attack("T7")
def test_lines_cut_off_at_the_right_do_not_count_as_seen(qtbot: QtBot) -> None:
    box = QWidget()
    qtbot.addWidget(box)
    box.resize(300, 200)
    view = PlainView(box)
    view.resize(500, 200)
    view.show_rows((Row(path="", value="harmless" + " " * 30 + "rm -rf /"),))
    box.show()
    qtbot.waitUntil(box.isVisible, timeout=5000)
    view.viewport().repaint()
    assert not view.all_seen
    box.resize(520, 200)
    qtbot.waitUntil(lambda: view.all_seen, timeout=5000)


def test_what_was_seen_counts_again_as_hidden_in_another_width(qtbot: QtBot) -> None:
    view = PlainView()
    qtbot.addWidget(view)
    view.resize(500, 200)
    view.show_rows(as_rows({"a": "x" * 300}))
    view.show()
    qtbot.waitUntil(lambda: view.all_seen, timeout=5000)
    view.resize(300, 60)
    qtbot.waitUntil(lambda: not view.all_seen, timeout=5000)
