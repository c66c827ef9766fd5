"""What no limit may open."""

from pathlib import Path

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access
from ztmcp_desktop.scan import protected
from ztmcp_desktop.scan.protected import (
    Cover,
    holds_protected,
    is_protected,
    protected_paths,
    refuse_folder,
    refuse_variable,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "person"
    (home / "project").mkdir(parents=True)
    return home


@pytest.fixture
def own(home: Path) -> tuple[Path, ...]:
    folder = home / ".config" / "ztmcp"
    folder.mkdir(parents=True)
    return (folder,)


def repository(folder: Path) -> Path:
    for name in ("objects", "refs", "hooks"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text("")
    return folder


@pytest.mark.parametrize(
    "folder", ["/", "/etc", "/etc/ssl", "/proc", "/proc/1", "/sys", "/dev", "/run", "/usr", "/home"]
)
def test_the_systems_folders_are_no_limit(folder: str, own: tuple[Path, ...]) -> None:
    assert refuse_folder(Path(folder), own, Path("/home/person")) is not None


def test_the_home_and_what_holds_it_is_no_limit(home: Path, own: tuple[Path, ...]) -> None:
    assert refuse_folder(home, own, home) is not None
    assert refuse_folder(home.parent, own, home) is not None


def test_a_folder_that_is_or_holds_or_lies_in_ours_is_no_limit(home: Path, own: tuple[Path, ...]) -> None:
    (own[0] / "rules").mkdir()
    for folder in (own[0], own[0].parent, own[0] / "rules"):
        assert "gateway's own" in (refuse_folder(folder, own, home) or "")


@pytest.mark.attack("P3")
def test_a_link_to_ours_is_no_limit(home: Path, own: tuple[Path, ...]) -> None:
    link = home / "project" / "innocent"
    link.symlink_to(own[0])
    assert refuse_folder(link, own, home) is not None


@pytest.mark.parametrize("name", [".ssh", ".SSH", ".gnupg", ".aws", ".mozilla", ".claude", ".config/autostart"])
def test_a_place_of_keys_or_of_autostart_is_no_limit(name: str, home: Path, own: tuple[Path, ...]) -> None:
    assert refuse_folder(home / name, own, home) is not None


def test_a_relative_folder_is_no_limit(home: Path, own: tuple[Path, ...]) -> None:
    assert refuse_folder(Path("project"), own, home) is not None


def test_a_project_with_a_look_alike_name_may_be_a_limit(home: Path, own: tuple[Path, ...]) -> None:
    for name in ("project", ".config/ztmcp-notes", ".sshfs", "etc"):
        assert refuse_folder(home / name, own, home) is None


@pytest.mark.attack("P3")
@pytest.mark.parametrize(
    "name",
    [".ssh/id_ed25519", "project/.ssh/id_rsa", ".claude.json", ".config/google-chrome/Default/Cookies", ".netrc"],
)
def test_keys_are_neither_read_nor_written(name: str, home: Path, own: tuple[Path, ...]) -> None:
    for access in Access:
        assert is_protected(home / name, access, own, home) is not None


@pytest.mark.attack("P3")
@pytest.mark.parametrize(
    "name",
    [
        "project/.git/hooks/pre-commit",
        "project/.GIT/Hooks/pre-commit",
        "project/.git/config",
        "project/.mcp.json",
        "project/.vscode/mcp.json",
        ".bashrc",
        ".config/autostart/evil.desktop",
    ],
)
def test_what_programs_obey_is_read_and_not_written(name: str, home: Path, own: tuple[Path, ...]) -> None:
    assert is_protected(home / name, Access.READ_WRITE, own, home) is not None
    assert is_protected(home / name, Access.READ_ONLY, own, home) is None


def test_a_link_to_a_key_is_protected_as_the_key_is(home: Path, own: tuple[Path, ...]) -> None:
    (home / ".ssh").mkdir()
    (home / "project" / "notes").symlink_to(home / ".ssh")
    assert is_protected(home / "project" / "notes" / "id", Access.READ_ONLY, own, home) is not None


def test_hooks_of_a_bare_repository_are_not_written(home: Path, own: tuple[Path, ...]) -> None:
    bare = repository(home / "project" / "it.git")
    assert is_protected(bare / "hooks" / "post-receive", Access.READ_WRITE, own, home) is not None
    assert is_protected(home / "project" / "hooks" / "use-state.ts", Access.READ_WRITE, own, home) is None


def test_an_ordinary_file_is_not_protected(home: Path, own: tuple[Path, ...]) -> None:
    for name in ("project/readme.md", "project/.git/HEAD", "project/config", "project/.gitignore"):
        assert is_protected(home / name, Access.READ_WRITE, own, home) is None


def test_each_repository_inside_is_found_with_its_submodules_and_worktrees(home: Path, own: tuple[Path, ...]) -> None:
    deep = home / "project" / "a" / "b"
    repository(deep / ".git")
    repository(deep / ".git" / "modules" / "part")
    (deep / "part").mkdir()
    (deep / "part" / ".git").write_text("gitdir: ../.git/modules/part\n")
    found = {item.path: item.cover for item in protected_paths(home / "project", own, home)}
    assert found == {
        deep / ".git" / "hooks": Cover.READ_ONLY,
        deep / ".git" / "config": Cover.READ_ONLY,
        deep / ".git" / "commondir": Cover.READ_ONLY,
        deep / ".git" / "modules" / "part" / "hooks": Cover.READ_ONLY,
        deep / ".git" / "modules" / "part" / "config": Cover.READ_ONLY,
        deep / ".git" / "modules" / "part" / "commondir": Cover.READ_ONLY,
        deep / "part" / ".git": Cover.READ_ONLY,
    }


def test_missing_hooks_are_found_all_the_same(home: Path, own: tuple[Path, ...]) -> None:
    (home / "project" / ".git").mkdir()
    found = protected_paths(home / "project", own, home)
    git = home / "project" / ".git"
    assert {item.path for item in found} == {git / "hooks", git / "commondir"}


def test_keys_inside_are_hidden_and_not_looked_into(home: Path, own: tuple[Path, ...]) -> None:
    repository(home / "project" / ".ssh" / ".git")
    found = {item.path: item.cover for item in protected_paths(home / "project", own, home)}
    assert found == {home / "project" / ".ssh": Cover.HIDDEN}


def test_a_link_inside_is_not_followed(home: Path, own: tuple[Path, ...]) -> None:
    repository(home / "elsewhere" / ".git")
    (home / "project" / "link").symlink_to(home / "elsewhere")
    assert protected_paths(home / "project", own, home) == ()


def test_a_folder_too_large_to_search_is_refused(
    home: Path, own: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protected, "MAX_ENTRIES", 3)
    for number in range(4):
        (home / "project" / f"file{number}").touch()
    with pytest.raises(Denial) as refused:
        protected_paths(home / "project", own, home)
    assert refused.value.code is Code.OUTSIDE_LIMITS


def test_a_runtime_that_holds_keys_is_refused(home: Path, own: tuple[Path, ...]) -> None:
    (home / ".local" / "share" / "keyrings").mkdir(parents=True)
    (home / ".local" / "share" / "uv" / "python").mkdir(parents=True)
    assert holds_protected(home / ".local", own, home) is not None
    assert holds_protected(home, own, home) is not None
    assert holds_protected(own[0], own, home) is not None
    assert holds_protected(home / ".local" / "share" / "uv" / "python", own, home) is None


@pytest.mark.attack("P1")
@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "ld_preload",
        "LD_LIBRARY_PATH",
        "NODE_OPTIONS",
        "PYTHONSTARTUP",
        "PYTHONPATH",
        "BASH_ENV",
        "ENV",
        "DYLD_INSERT_LIBRARIES",
        "GIT_SSH_COMMAND",
        "PATH",
        "HOME",
        "npm_config_registry",
        "A=B",
        "1A",
    ],
)
def test_a_variable_that_makes_something_else_run_is_refused(name: str) -> None:
    assert refuse_variable(name) is not None


@pytest.mark.parametrize("name", ["", "A\n", "A\0", "Ä", "A" * 129])
def test_what_is_no_name_is_refused(name: str) -> None:
    assert refuse_variable(name) is not None


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "API_KEY", "DEBUG", "_x", "PYTHONUNBUFFERED"])
def test_an_ordinary_variable_is_not_refused(name: str) -> None:
    assert refuse_variable(name) is None
