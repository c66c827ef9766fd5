import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import make_digester
from ztmcp_desktop.domain.digest import LONG_CHARS
from ztmcp_desktop.domain.json import Json

LONG = "x" * (LONG_CHARS + 1)
_texts = st.sampled_from(["", "a", LONG, LONG + "y", "\ud800" + LONG])
_values = st.recursive(
    _texts | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "a", "/", "~1", "a/0"]), inner),
    max_leaves=6,
)


@given(_values, _values)
def test_two_values_have_one_digest_only_where_they_are_equal(one: Json, other: Json) -> None:
    digester = make_digester()
    assert (digester.of("p", one) == digester.of("p", other)) == (repr_of(one) == repr_of(other))


def repr_of(value: Json) -> str:
    """Equal for equal JSON, whatever the order of the keys."""
    match value:
        case dict():
            return "{" + ",".join(f"{key!r}:{repr_of(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(repr_of(item) for item in value) + "]"
        case _:
            return repr(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["", LONG], [LONG, ""]),
        ({"a": LONG, "b": ""}, {"a": "", "b": LONG}),
        ({"a/0": LONG}, {"a": [LONG]}),
        ([LONG], ["x" * LONG_CHARS]),
        # What a value with a long text is digested as, given as a value itself.
        ([LONG], [[""], [["/0", make_digester().of("p", LONG)]]]),
    ],
)
def test_a_long_text_counts_with_its_place(one: Json, other: Json) -> None:
    assert make_digester().of("p", one) != make_digester().of("p", other)


def test_a_purpose_keeps_digests_apart_for_long_texts_too() -> None:
    assert make_digester().of("p", [LONG]) != make_digester().of("q", [LONG])


def test_the_order_of_keys_says_nothing_for_long_texts_either() -> None:
    one: Json = {"a": LONG, "b": {"c": LONG + "y", "d": LONG}}
    other: Json = {"b": {"d": LONG, "c": LONG + "y"}, "a": LONG}
    assert make_digester().of("p", one) == make_digester().of("p", other)
