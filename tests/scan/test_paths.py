import pytest

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.paths import Basis, path_arguments


def found(arguments: JsonObject, schema: JsonObject | None = None) -> list[tuple[str, Basis]]:
    return [(argument.pointer, argument.basis) for argument in path_arguments(arguments, schema or {})]


@pytest.mark.parametrize(
    "name", ["path", "filePath", "file_name", "filename", "directory", "repo_path", "cwd", "folder", "file"]
)
def test_a_named_argument_is_a_path_whatever_it_looks_like(name: str) -> None:
    assert found({name: "notes"}) == [(f"/{name}", Basis.NAMED)]


@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd",
        " /etc/passwd",
        "'/etc/passwd'",
        "~/x",
        "~root/x",
        "../x",
        "a/../../x",
        "a\\..\\x",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "C:\\x",
        "\\\\host\\share",
        "\\\\?\\C:\\x",
        "--output=/etc/passwd",
    ],
)
def test_what_looks_like_a_path_is_one_under_any_name(value: str) -> None:
    assert [pointer for pointer, _ in found({"thing": value})] == ["/thing"]


def test_lists_nested_objects_and_member_names_are_looked_into() -> None:
    arguments = {"paths": ["a", "b"], "edits": [{"deep": {"source": "/etc/x"}}], "files": {"../up": "text"}}
    assert {pointer for pointer, _ in found(arguments)} == {
        "/paths/0",
        "/paths/1",
        "/edits/0/deep/source",
        "/files/..~1up",
    }


def test_the_schema_can_name_a_path() -> None:
    schema = {"properties": {"thing": {"type": "string", "format": "path"}}}
    assert found({"thing": "notes"}, schema) == [("/thing", Basis.NAMED)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "https://example.org/a"},
        {"uri": "memo://insights"},
        {"path": ""},
        {"file": "https://example.org/a"},
        {"content": "/help is a command; see ../README"},
        {"message": "/etc/passwd is a file"},
        {"timezone": "Europe/Berlin"},
        {"revision": "HEAD~1..HEAD"},
        {"amount": "~5"},
        {"image": "/9j/" + "A" * 5000},
        {"file_type": "text"},
        {"n": 3, "b": True, "x": None},
    ],
)
def test_addresses_texts_and_pictures_are_none(arguments: JsonObject) -> None:
    assert found(arguments) == []


@pytest.mark.attack("P3")
def test_an_address_that_climbs_is_a_path_after_all() -> None:
    assert found({"path": "https://x/../../../etc/passwd"}) == [("/path", Basis.NAMED)]
