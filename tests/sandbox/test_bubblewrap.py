"""The sandbox of Linux: without it nothing starts, and what was swapped since the approval is not shown."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import Launch
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.sandbox import bubblewrap
from ztmcp_desktop.sandbox.bubblewrap import Bubblewrap, environment, open_sandbox
from ztmcp_desktop.sandbox.cgroup import Groups
from ztmcp_desktop.sandbox.descriptors import open_exactly

READ_S = 20


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path.resolve() / "person"
    (home / "project").mkdir(parents=True)
    (home / ".config" / "ztmcp").mkdir(parents=True)
    return home


def sandbox(home: Path, **given: object) -> Bubblewrap:
    return Bubblewrap((home / ".config" / "ztmcp",), home, **given)  # type: ignore[arg-type]


def launch(home: Path, script: str, access: Access = Access.READ_WRITE, **env: str) -> Launch:
    return Launch(
        server=ServerName("files"),
        runtime=Runtime(argv=("/bin/sh", "-c", script)),
        limits=Limits(folders=(Folder(path=home / "project", access=access),)),
        env=Sealed(env),
    )


async def said(box: Bubblewrap, what: Launch) -> str:
    child = await box.start(what)
    try:
        out, err = await asyncio.wait_for(asyncio.gather(child.stdout.read(), child.stderr.read()), READ_S)
    finally:
        await child.kill()
    return (out + err).decode()


@pytest.mark.attack("P7")
async def test_without_bubblewrap_nothing_starts_and_the_message_mends(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "_PROGRAMS", str(home))
    box = sandbox(home)
    assert not box.report().works
    with pytest.raises(Denial) as refused:
        await box.start(launch(home, "touch ran"))
    assert refused.value.code is Code.SERVER_UNAVAILABLE
    assert "apt install bubblewrap" in refused.value.reason
    assert list((home / "project").iterdir()) == []


@pytest.mark.attack("P7")
async def test_where_namespaces_are_forbidden_nothing_starts(home: Path) -> None:
    broken = home / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    box = sandbox(home, program=str(broken))
    report = box.report()
    assert not report.works
    assert "No permissions to create new namespace" in report.reason
    assert "user namespaces" in report.mend
    with pytest.raises(Denial):
        await box.start(launch(home, "touch ran"))
    assert list((home / "project").iterdir()) == []


@pytest.mark.attack("P7")
@pytest.mark.parametrize("system", ["darwin", "win32"])
async def test_another_system_refuses_plainly(home: Path, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    box = open_sandbox((), home)
    assert not box.report().works
    with pytest.raises(Denial, match="no sandbox for this system"):
        await box.start(launch(home, "touch ran"))


def test_limits_that_cannot_bind_are_said(home: Path) -> None:
    missing = " ".join(sandbox(home, groups=Groups(version=0, bases={})).report().missing)
    assert "memory limit" in missing
    assert ("limit of processes" in missing) == (os.getuid() == 0)


@pytest.mark.attack("N11", "P3")
async def test_a_folder_that_became_a_link_is_not_shown(home: Path) -> None:
    (home / "keys").mkdir()
    (home / "project").rmdir()
    (home / "project").symlink_to(home / "keys")
    with pytest.raises(Denial) as refused:
        await sandbox(home).start(launch(home, "touch ran"))
    assert refused.value.code is Code.OUTSIDE_LIMITS
    assert list((home / "keys").iterdir()) == []


@pytest.mark.attack("P3")
def test_a_path_with_a_link_in_its_middle_is_not_opened(home: Path) -> None:
    (home / "link").symlink_to(home / "project")
    (home / "project" / "part").mkdir()
    for path in (home / "link", home / "link" / "part", home / "missing"):
        with pytest.raises(Denial):
            open_exactly(path)
    number = open_exactly(home / "project" / "part")
    os.close(number)


@pytest.mark.attack("P3")
@pytest.mark.parametrize("folder", ["", ".config/ztmcp", ".ssh"])
async def test_what_no_limit_may_open_is_refused_here_too(home: Path, folder: str) -> None:
    (home / ".ssh").mkdir()
    forbidden = Launch(
        server=ServerName("files"),
        runtime=Runtime(argv=("/bin/true",)),
        limits=Limits(folders=(Folder(path=home / folder),)),
        env=Sealed({}),
    )
    with pytest.raises(Denial) as refused:
        await sandbox(home).start(forbidden)
    assert refused.value.code is Code.OUTSIDE_LIMITS


@pytest.mark.attack("P9")
@pytest.mark.parametrize("mount", ["", ".config/ztmcp", ".config/ztmcp/state", ".ssh", "missing"])
async def test_a_runtime_never_shows_the_home_nor_keys_nor_ours(home: Path, mount: str) -> None:
    (home / ".ssh").mkdir()
    (home / ".config" / "ztmcp" / "state").mkdir()
    forbidden = Launch(
        server=ServerName("files"),
        runtime=Runtime(argv=("/bin/true",), mounts=(home / mount,)),
        limits=Limits(),
        env=Sealed({}),
    )
    with pytest.raises(Denial) as refused:
        await sandbox(home).start(forbidden)
    assert refused.value.code is Code.OUTSIDE_LIMITS


@pytest.mark.attack("P3")
async def test_a_repository_cannot_be_moved_aside_to_give_it_other_hooks(home: Path) -> None:
    hooks = home / "project" / "deep" / "repo" / ".git" / "hooks"
    hooks.mkdir(parents=True)
    script = (
        "mv deep/repo/.git deep/repo/x; mv deep/repo deep/x; mv deep x; ls; echo hook > deep/repo/.git/hooks/pre-push"
    )
    assert "busy" in await said(sandbox(home), launch(home, script))
    assert list(hooks.iterdir()) == []
    assert [path.name for path in (home / "project").iterdir()] == ["deep"]


@pytest.mark.attack("P3")
async def test_hooks_cannot_be_made_where_there_are_none(home: Path) -> None:
    (home / "project" / ".git").mkdir()
    await said(sandbox(home), launch(home, "mkdir -p .git/hooks; echo hook > .git/hooks/pre-push"))
    assert not (home / "project" / ".git" / "hooks" / "pre-push").exists()


@pytest.mark.attack("P3")
@pytest.mark.parametrize("place", [".git", ".git/modules/part", "bare"])
async def test_a_repository_cannot_be_led_to_another_configuration(home: Path, place: str) -> None:
    git = home / "project" / place
    for name in ("objects", "refs"):
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    script = f"echo ../evil > {place}/commondir; rm -f {place}/commondir; mv f {place}/commondir"
    await said(sandbox(home), launch(home, "echo ../evil > f; " + script))
    assert (git / "commondir").read_text() == ".\n"


@pytest.mark.attack("P3")
async def test_a_worktree_cannot_be_led_to_another_configuration(home: Path) -> None:
    worktree = home / "project" / ".git" / "worktrees" / "one"
    worktree.mkdir(parents=True)
    (worktree / "HEAD").write_text("ref: refs/heads/main\n")
    (worktree / "commondir").write_text("../..\n")
    await said(sandbox(home), launch(home, "echo ../evil > .git/worktrees/one/commondir"))
    assert (worktree / "commondir").read_text() == "../..\n"


@pytest.mark.attack("P3")
async def test_hooks_behind_a_link_refuse_a_server_that_writes(home: Path) -> None:
    (home / "project" / ".git").mkdir()
    (home / "project" / "shared").mkdir()
    (home / "project" / ".git" / "hooks").symlink_to("../shared")
    with pytest.raises(Denial) as refused:
        await sandbox(home).start(launch(home, "touch ran"))
    assert refused.value.code is Code.OUTSIDE_LIMITS
    assert "here" in await said(sandbox(home), launch(home, "echo here", Access.READ_ONLY))


@pytest.mark.attack("P1")
def test_our_variables_are_not_replaced_by_the_servers(home: Path) -> None:
    found = environment(launch(home, "", PATH="/evil", HOME="/evil", TOKEN="t"))
    assert found["TOKEN"] == "t"
    assert "/evil" not in found["PATH"] + found["HOME"]


@pytest.mark.attack("P1")
async def test_nothing_of_our_environment_passes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZTMCP_TEST_SECRET", "must-not-pass")
    monkeypatch.setenv("LD_PRELOAD_OF_TESTS", "must-not-pass")
    out = await said(sandbox(home), launch(home, "env; cat /proc/*/environ", TOKEN="given"))
    assert "TOKEN=given" in out
    assert "must-not-pass" not in out


async def test_a_variable_that_no_environment_can_hold_is_refused(home: Path) -> None:
    with pytest.raises(Denial):
        await sandbox(home).start(launch(home, "touch ran", TOKEN="a\0--bind\0/\0/"))
    assert list((home / "project").iterdir()) == []


async def test_it_inherits_its_three_pipes_and_no_other_descriptor(home: Path) -> None:
    script = "n=0; while [ $n -lt 64 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done"
    assert (await said(sandbox(home), launch(home, script))).split() == ["0", "1", "2"]


async def test_it_has_no_capability_and_can_gain_none(home: Path) -> None:
    out = await said(sandbox(home), launch(home, "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status"))
    fields = dict(line.split(":\t") for line in out.splitlines())
    assert {int(value, 16) for name, value in fields.items() if name.startswith("Cap")} == {0}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


async def test_the_exit_status_and_the_signal_are_told(home: Path) -> None:
    box = sandbox(home)
    for script, status in (("exit 7", 7), ("kill -9 $$", -9)):
        child = await box.start(launch(home, script))
        assert await asyncio.wait_for(child.wait(), READ_S) == status
        await child.kill()


async def test_no_control_group_is_left_behind(home: Path) -> None:
    box = sandbox(home)
    child = await box.start(launch(home, "sleep 60"))
    bases = set(box._groups.bases.values())
    made = [folder for base in bases for folder in base.glob(f"ztmcp-{os.getpid()}-*")]
    assert len(made) == len(bases)
    await child.kill()
    assert [folder for folder in made if folder.exists()] == []
