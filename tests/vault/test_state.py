import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.vault import state
from ztmcp_desktop.vault.state import SealedState

KEY = Sealed(b"k" * 32)


def refused(folder: Path, name: str, key: Sealed[bytes] = KEY) -> str:
    with pytest.raises(Denial) as denial:
        SealedState(folder, key).load(name)
    assert denial.value.code is Code.GATEWAY_FAULT
    return denial.value.reason


def edit(path: Path, change: Callable[[dict], None]) -> None:
    outer = json.loads(path.read_bytes())
    change(outer)
    path.write_text(json.dumps(outer))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = SealedState(tmp_path, KEY)
    store.save("lock", {"locked": True})
    store.save("catalogue/files", {"pins": ["a"]})
    return tmp_path


def test_an_edited_record_is_refused_by_name(folder: Path) -> None:
    edit(folder / "lock.json", lambda outer: outer["record"].update(locked=False))
    assert "lock.json" in refused(folder, "lock")


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"version": 1}', "[" * 100_000])
def test_a_damaged_record_is_refused(folder: Path, content: str) -> None:
    (folder / "lock.json").write_text(content)
    refused(folder, "lock")


def test_a_record_under_another_name_is_refused(folder: Path) -> None:
    (folder / "lock.json").write_bytes((folder / "catalogue%2Ffiles.json").read_bytes())
    refused(folder, "lock")


def test_a_record_of_another_key_is_refused(folder: Path) -> None:
    refused(folder, "lock", Sealed(b"o" * 32))


def test_a_record_of_an_earlier_time_is_refused(folder: Path) -> None:
    old = (folder / "lock.json").read_bytes()
    SealedState(folder, KEY).save("lock", {"locked": False})
    (folder / "lock.json").write_bytes(old)
    assert "older" in refused(folder, "lock")


def test_a_deleted_record_is_refused(folder: Path) -> None:
    (folder / "lock.json").unlink()
    assert "missing" in refused(folder, "lock")


def test_a_deleted_index_is_refused(folder: Path) -> None:
    (folder / ".index.json").unlink()
    assert "missing" in refused(folder, "lock")


@pytest.mark.attack("N11")
def test_a_record_behind_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "lock.json").rename(tmp_path / "elsewhere")
    (folder / "lock.json").symlink_to(tmp_path / "elsewhere")
    refused(folder, "lock")


@pytest.mark.attack("N11")
def test_a_record_open_to_others_is_refused(folder: Path) -> None:
    (folder / "lock.json").chmod(0o640)
    assert "chmod 600" in refused(folder, "lock")


@pytest.mark.parametrize("name", ["", ".index", "..", "x" * 129])
def test_a_name_that_could_be_another_file_is_refused(folder: Path, name: str) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(Denial):
        SealedState(folder, KEY).save(name, {})
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["x/../../escape", "/etc/passwd", "a/../../b", "a\0b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "state").mkdir()
    store = SealedState(tmp_path / "state", KEY)
    store.save(name, {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert store.load(name) == {"a": 1}


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealedState(tmp_path, Sealed(b"short"))


def test_more_records_than_the_bound_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_RECORDS", 2)
    store = SealedState(tmp_path, KEY)
    for name in ("a", "b", "a"):
        store.save(name, {})
    with pytest.raises(Denial):
        store.save("c", {})


def test_a_record_that_was_never_written_is_none(folder: Path) -> None:
    assert SealedState(folder, KEY).load("rules") is None


def test_a_crash_between_record_and_index_keeps_the_new_record(folder: Path) -> None:
    index = (folder / ".index.json").read_bytes()
    SealedState(folder, KEY).save("lock", {"locked": False})
    (folder / ".index.json").write_bytes(index)
    store = SealedState(folder, KEY)
    assert store.load("lock") == {"locked": False}
    store.save("lock", {"locked": True})
    assert SealedState(folder, KEY).load("lock") == {"locked": True}


def test_a_damaged_record_can_be_replaced(folder: Path) -> None:
    (folder / "lock.json").write_text("")
    SealedState(folder, KEY).save("lock", {"locked": True})
    assert SealedState(folder, KEY).load("lock") == {"locked": True}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, record: dict) -> None:
    folder = tmp_path_factory.mktemp("state")
    SealedState(folder, KEY).save("any", record)
    assert SealedState(folder, KEY).load("any") == record
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
