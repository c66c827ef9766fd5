import os
from pathlib import Path

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.settings import Home
from ztmcp_desktop.vault.folders import prepare, read_private, replace_private
from ztmcp_desktop.vault.installation import service_name


@pytest.fixture
def home(tmp_path: Path) -> Home:
    names = ("config", "data", "state", "run", "logs")
    return Home(**{name: tmp_path / "base" / name for name in names})


@pytest.mark.attack("N11")
def test_a_link_in_the_place_of_a_folder_is_refused(home: Home, tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.mkdir()
    home.state.parent.mkdir(mode=0o700)
    home.state.symlink_to(aim)
    with pytest.raises(Denial, match="symbolic link") as refused:
        prepare(home)
    assert refused.value.code is Code.GATEWAY_FAULT
    assert list(aim.iterdir()) == []


@pytest.mark.attack("N11")
def test_a_link_in_the_place_of_the_one_folder_above_is_refused(home: Home, tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.mkdir()
    (tmp_path / "base").symlink_to(aim)
    with pytest.raises(Denial, match="symbolic link"):
        prepare(home)
    assert list(aim.iterdir()) == []


@pytest.mark.attack("N11")
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_open_to_others_is_refused(home: Home, mode: int) -> None:
    prepare(home)
    home.run.chmod(mode)
    with pytest.raises(Denial, match="chmod 700"):
        prepare(home)


@pytest.mark.attack("N11")
def test_a_folder_of_another_user_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(home)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(Denial, match="another user"):
        prepare(home)


def test_a_file_in_the_place_of_a_folder_is_refused(home: Home) -> None:
    home.logs.parent.mkdir(mode=0o700)
    home.logs.write_text("")
    with pytest.raises(Denial):
        prepare(home)


def test_folders_are_made_for_us_alone_whatever_the_umask(home: Home) -> None:
    before = os.umask(0)
    try:
        prepare(home)
        prepare(home)
    finally:
        os.umask(before)
    assert {folder.stat().st_mode & 0o777 for folder in home.folders()} == {0o700}


@pytest.mark.attack("N11")
@pytest.mark.parametrize("strange", ["link", "hard link", "pipe", "open"])
def test_a_file_that_is_not_plainly_ours_is_not_read(tmp_path: Path, strange: str) -> None:
    path, other = tmp_path / "record", tmp_path / "other"
    replace_private(other, b"x")
    match strange:
        case "link":
            path.symlink_to(other)
        case "hard link":
            path.hardlink_to(other)
        case "pipe":
            os.mkfifo(path, 0o600)
        case "open":
            other.rename(path)
            path.chmod(0o604)
    with pytest.raises(Denial):
        read_private(path)


@pytest.mark.attack("N11")
def test_writing_replaces_a_link_and_leaves_its_aim(tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.write_text("theirs")
    (tmp_path / "record").symlink_to(aim)
    replace_private(tmp_path / "record", b"ours")
    assert aim.read_text() == "theirs"
    assert read_private(tmp_path / "record") == b"ours"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    replace_private(tmp_path / "record", b"old")
    (tmp_path / f".record.{os.getpid()}.new").mkdir()
    with pytest.raises(Denial):
        replace_private(tmp_path / "record", b"new")
    assert read_private(tmp_path / "record") == b"old"


def test_a_home_keeps_its_service_name_and_homes_do_not_share_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    name = service_name(tmp_path)
    assert name.startswith("ztmcp:")
    assert service_name(tmp_path) == name
    assert service_name(tmp_path / "other") != name


def test_a_damaged_id_is_refused_and_not_replaced(tmp_path: Path) -> None:
    replace_private(tmp_path / "installation", b"login")
    with pytest.raises(Denial, match="damaged"):
        service_name(tmp_path)
    assert read_private(tmp_path / "installation") == b"login"
