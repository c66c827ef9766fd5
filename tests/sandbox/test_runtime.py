"""What a command needs of this machine."""

import os
import sys
from pathlib import Path

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.sandbox.runtime import Runtimes


class Machine:
    """A home and a resolver for it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.ours = root / "ours"
        self.home.mkdir()
        self.ours.mkdir()
        self.runtimes = Runtimes(self.ours / "packages", (self.ours,), self.home)

    async def resolve(self, *argv: str) -> Runtime:
        server = Server(name=ServerName("files"), endpoint=LocalCommand(argv=argv))
        return await self.runtimes.resolve(server, False)

    async def refusal(self, *argv: str) -> Denial:
        with pytest.raises(Denial) as refused:
            await self.resolve(*argv)
        return refused.value


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.attack("P1")
@pytest.mark.parametrize("command", ["./server", "bin/server", "no-such-command-anywhere", "/no/such/command"])
async def test_a_relative_or_missing_command_is_refused(machine: Machine, command: str) -> None:
    assert (await machine.refusal(command)).code is Code.SERVER_UNAVAILABLE


@pytest.mark.attack("P1")
@pytest.mark.parametrize("mode", [0o777, None])
async def test_a_command_in_a_folder_that_anybody_may_write_to_is_not_found(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None
) -> None:
    folder = program(tmp_path / "open" / "only-here-found").parent
    monkeypatch.chdir(tmp_path)
    if mode is not None:
        folder.chmod(mode)
    monkeypatch.setenv("PATH", str(folder) if mode is not None else "open")
    assert (await machine.refusal("only-here-found")).code is Code.SERVER_UNAVAILABLE


@pytest.mark.attack("P1")
async def test_a_program_in_our_own_folders_is_refused(machine: Machine) -> None:
    found = program(machine.ours / "bin" / "tool")
    assert (await machine.refusal(str(found))).code is Code.OUTSIDE_LIMITS


async def test_a_system_program_needs_no_mount(machine: Machine) -> None:
    runtime = await machine.resolve("/usr/bin/env", "true")
    assert runtime.argv == ("/usr/bin/env", "true")
    assert runtime.mounts == ()


async def test_a_program_in_the_homes_bin_does_not_open_the_home(machine: Machine) -> None:
    found = program(machine.home / "bin" / "tool")
    runtime = await machine.resolve(str(found))
    assert runtime.mounts == (found,)


async def test_a_link_in_the_homes_bin_is_followed_to_where_the_program_is_installed(
    machine: Machine, tmp_path: Path
) -> None:
    found = program(tmp_path / "tool" / "bin" / "tool")
    link = machine.home / "bin" / "tool"
    link.parent.mkdir()
    link.symlink_to(found)
    runtime = await machine.resolve(str(link))
    assert runtime.argv == (str(found),)
    assert runtime.mounts == (tmp_path / "tool",)


async def test_a_virtual_environment_comes_with_the_python_that_it_was_made_of(machine: Machine) -> None:
    runtime = await machine.resolve(sys.executable, "-c", "pass")
    assert Path(sys.prefix) in runtime.mounts
    base = Path(sys.base_prefix)
    assert base in runtime.mounts or base == Path("/usr")
    assert runtime.argv[0] == sys.executable


async def test_a_script_comes_with_its_interpreter_and_the_node_modules_that_it_lies_in(
    machine: Machine, tmp_path: Path
) -> None:
    interpreter = program(tmp_path / "node" / "bin" / "node", "\x7fELF")
    script = program(tmp_path / "app" / "node_modules" / "pkg" / "dist" / "index.js", f"#!{interpreter}\n")
    link = tmp_path / "app" / "node_modules" / ".bin" / "pkg"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(script, link.parent))
    runtime = await machine.resolve(str(link))
    assert set(runtime.mounts) == {tmp_path / "node", tmp_path / "app" / "node_modules"}


async def test_a_script_named_in_the_command_is_mounted_alone(machine: Machine, tmp_path: Path) -> None:
    script = tmp_path / "project" / "server.py"
    script.parent.mkdir()
    script.write_text("")
    data = tmp_path / "project" / "data.db"
    data.write_text("")
    runtime = await machine.resolve("/bin/sh", str(script), str(data))
    assert runtime.mounts == (script,)


async def test_a_file_that_is_no_script_is_not_shown(machine: Machine, tmp_path: Path) -> None:
    data = tmp_path / "data.db"
    data.write_text("")
    assert (await machine.resolve("/usr/bin/env", str(data))).mounts == ()
