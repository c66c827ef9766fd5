from pathlib import Path

import pytest

from ztmcp_desktop.scan.readings import UnreadablePathError, readings

HOME = Path("/home/anna")


@pytest.mark.attack("P3")
@pytest.mark.parametrize(
    "value", ["a\0b", "C:\\x", "\\\\host\\x", "\\\\?\\C:\\x", "~root/x", "file://evil.example/x", "%00", "\ud800"]
)
def test_what_has_no_place_here_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UnreadablePathError):
        readings(value, tmp_path, HOME)


@pytest.mark.attack("P3")
@pytest.mark.parametrize(
    ("value", "escape"),
    [
        ("%2e%2e/x", "x"),
        ("%252e%252e/x", "x"),
        ("..\\x", "x"),
        ("'../x'", "x"),
        (".. /x", "x"),
        ("file:../x", "x"),
        ("%22../x%22", "x"),
        ("..%20/x", "x"),
        ("%2520..%2520/x", "x"),
    ],
)
def test_every_spelling_that_climbs_is_among_the_readings(tmp_path: Path, value: str, escape: str) -> None:
    base = tmp_path / "base"
    base.mkdir()
    assert tmp_path / escape in readings(value, base, HOME)


@pytest.mark.attack("P3")
def test_dots_are_read_before_and_after_links(tmp_path: Path) -> None:
    base, other = tmp_path / "base", tmp_path / "other" / "deep"
    base.mkdir()
    other.mkdir(parents=True)
    (base / "link").symlink_to(other)
    assert set(readings("link/../x", base, HOME)) == {tmp_path / "other" / "x", base / "x"}


@pytest.mark.parametrize("value", ["a/b", "./a/b", "a//b", "a/./b"])
def test_a_plain_path_has_one_reading(tmp_path: Path, value: str) -> None:
    assert readings(value, tmp_path, HOME) == (tmp_path / "a" / "b",)


def test_the_home_and_file_urls_are_understood(tmp_path: Path) -> None:
    assert readings("~/x", tmp_path, tmp_path)[0] == tmp_path / "x"
    assert readings(f"file://localhost{tmp_path}/a%20b", None, HOME)[0] == tmp_path / "a b"
    assert readings("//etc/x", None, HOME) == (Path("/etc/x"),)


def test_a_relative_path_without_a_base_has_none() -> None:
    assert readings("a/b", None, HOME) == ()
