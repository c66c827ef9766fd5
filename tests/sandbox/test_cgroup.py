"""Where control groups can be made, from what the kernel tells; on folders that stand in for its file system."""

from pathlib import Path

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.sandbox import cgroup
from ztmcp_desktop.sandbox.cgroup import Groups, find_groups


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    proc = tmp_path / "proc"
    proc.mkdir()
    monkeypatch.setattr(cgroup, "_PROC", proc)
    return proc


def unified(tmp_path: Path, proc: Path, own: str, handed_down: dict[str, str]) -> Path:
    point = tmp_path / "cgroup"
    for path, controllers in handed_down.items():
        folder = point / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.subtree_control").write_text(controllers)
        (folder / "cgroup.procs").write_text("")
    (proc / "mountinfo").write_text(f"30 23 0:26 / {point} rw,nosuid - cgroup2 cgroup2 rw\n")
    (proc / "cgroup").write_text(f"0::{own}\n")
    return point


def test_where_the_kernel_tells_nothing_there_are_no_groups(proc: Path) -> None:
    assert find_groups().bases == {}


def test_a_group_that_hands_nothing_down_is_of_no_use(tmp_path: Path, proc: Path) -> None:
    unified(tmp_path, proc, "/user/app", {"": "", "user": "", "user/app": ""})
    assert find_groups().bases == {}


def test_the_nearest_group_that_hands_controllers_down_is_taken(tmp_path: Path, proc: Path) -> None:
    handed = {"": "memory pids", "user": "cpu memory pids", "user/app": ""}
    point = unified(tmp_path, proc, "/user/app", handed)
    found = find_groups()
    assert (found.version, found.bases) == (2, {"memory": point / "user", "pids": point / "user"})


def test_the_limits_of_a_whole_tree_are_written(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    group = Groups(version=2, bases={"memory": base, "pids": base}).make(1000, 7)
    assert len(group.folders) == 1
    folder = group.folders[0]
    assert ((folder / "memory.max").read_text(), (folder / "pids.max").read_text()) == ("1000", "7")


def test_a_group_that_cannot_be_made_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(Denial) as refused:
        Groups(version=2, bases={"pids": tmp_path / "missing"}).make(1000, 7)
    assert refused.value.code is Code.SERVER_UNAVAILABLE


def test_what_a_killed_run_left_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    dead, alive, foreign = tmp_path / "ztmcp-999999999-1", tmp_path / "ztmcp-1-1", tmp_path / "ztmcp-notes"
    for folder in (dead, alive, foreign):
        folder.mkdir()
    Groups(version=2, bases={"pids": tmp_path}).sweep()
    assert [folder.exists() for folder in (dead, alive, foreign)] == [False, True, True]
