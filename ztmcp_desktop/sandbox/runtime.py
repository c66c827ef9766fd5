"""What a local command needs of this machine: its executable, its interpreter, its environment, its script."""

import os
import re
import shutil
import stat
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.sandbox.packages import Installed, Packages, Registry, npm_program, wanted_package
from ztmcp_desktop.scan.protected import holds_protected

SYSTEM = tuple(Path(part) for part in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"))
MAX_LINKS = 16
MAX_SHEBANGS = 4
MAX_SHEBANG_BYTES = 512
_PYVENV_HOME = re.compile(r"^home\s*=\s*(.+)$", re.MULTILINE)


class Runtimes:
    """Implements `ports.RuntimeResolver`."""

    def __init__(self, packages: Path, own_folders: tuple[Path, ...], user_home: Path) -> None:
        self._packages = Packages(packages)
        self._own = own_folders
        self._home = user_home

    async def resolve(self, server: Server, install: bool) -> Runtime:
        if not isinstance(server.endpoint, LocalCommand):
            raise Denial(Code.SERVER_UNAVAILABLE, f"{server.name} is not a local server")
        argv = server.endpoint.argv
        wanted = wanted_package(argv)
        if wanted is None:
            return self._of_command(argv, ())
        installed = self._packages.find(wanted)
        if install:
            installed = await self._packages.install(wanted)
        if installed is None:
            return Runtime(argv=argv, installed=(f"{wanted.spec} (to be installed at approval)",))
        return self._of_package(installed)

    def _of_package(self, installed: Installed) -> Runtime:
        wanted = installed.wanted
        if wanted.registry is Registry.NPM:
            argv = (str(self._executable("node")), str(npm_program(installed)), *wanted.arguments)
        else:
            program = installed.folder / "bin" / wanted.program
            if not program.is_file():
                raise Denial(
                    Code.SERVER_UNAVAILABLE, f"the package {installed.label} has no program {wanted.program!r}"
                )
            argv = (str(program), *wanted.arguments)
        return self._of_command(argv, (installed.label,))

    def _of_command(self, argv: tuple[str, ...], installed: tuple[str, ...]) -> Runtime:
        executable = self._executable(argv[0])
        mounts: dict[Path, None] = {}
        path: dict[Path, None] = {}
        self._add_program(executable, mounts, path)
        for argument in argv[1:]:
            self._add_script(argument, mounts)
        kept = tuple(mount for mount in mounts if not _within(mount, SYSTEM))
        return Runtime(
            argv=(str(executable), *argv[1:]), mounts=_outermost(kept), path=tuple(path), installed=installed
        )

    def _executable(self, command: str) -> Path:
        """Where the command is; found on PATH only in absolute folders that nobody else can write to."""
        if "/" in command:
            found = Path(command)
            if not found.is_absolute():
                raise Denial(Code.SERVER_UNAVAILABLE, f"{command} is a relative command; write the whole path")
        else:
            folders = [part for part in os.environ.get("PATH", os.defpath).split(":") if _trusted(part)]
            name = shutil.which(command, path=":".join(folders))
            if name is None:
                raise Denial(Code.SERVER_UNAVAILABLE, f"there is no command {command} on this machine")
            found = Path(name)
        if not found.is_file() or not os.access(found, os.X_OK):
            raise Denial(Code.SERVER_UNAVAILABLE, f"{found} is not there or cannot be run")
        return Path(os.path.normpath(found))

    def _add_program(self, program: Path, mounts: dict[Path, None], path: dict[Path, None], depth: int = 0) -> None:
        """The program with every link on the way to it, what it is installed in, and its interpreter."""
        if depth > MAX_SHEBANGS:
            raise Denial(Code.SERVER_UNAVAILABLE, f"{program} has too many interpreters")
        path.setdefault(program.parent)
        for place in _links(program):
            self._add_installation(place, mounts)
        interpreter = _shebang(program)
        if interpreter:
            self._add_program(self._executable(interpreter), mounts, path, depth + 1)

    def _add_installation(self, program: Path, mounts: dict[Path, None]) -> None:
        """The folder that the program is installed in: `PREFIX` of `PREFIX/bin/NAME`, a node_modules, or itself."""
        if _within(program, SYSTEM):
            return
        modules = _node_modules(program)
        prefix = modules or (program.parent.parent if program.parent.name in {"bin", "Scripts"} else None)
        if prefix is None or self._refuse(prefix):
            self._mount(program, mounts)
            return
        self._mount(prefix, mounts)
        config = prefix / "pyvenv.cfg"
        if config.is_file():
            found = _PYVENV_HOME.search(config.read_text(encoding="utf-8", errors="replace"))
            base = Path(found[1].strip()) if found else None
            if base and base.is_absolute() and base.name == "bin" and not _within(base, SYSTEM):
                for place in dict.fromkeys((base.parent, base.parent.resolve())):
                    self._mount(place, mounts)

    def _add_script(self, argument: str, mounts: dict[Path, None]) -> None:
        """A script file named in the command, with the node_modules that it lies in."""
        if not argument.startswith("/") or not os.path.isfile(argument):  # noqa: PTH113 - may hold any characters
            return
        for place in _links(Path(os.path.normpath(argument))):
            if not _within(place, SYSTEM):
                self._mount(_node_modules(place) or place, mounts)

    def _mount(self, place: Path, mounts: dict[Path, None]) -> None:
        if reason := self._refuse(place):
            raise Denial(Code.OUTSIDE_LIMITS, f"the command needs {place}, which is not shown to servers: {reason}")
        mounts.setdefault(place)

    def _refuse(self, place: Path) -> str | None:
        real = place.resolve()
        if self._packages.folder.resolve() in real.parents:
            return None
        home = self._home.resolve()
        if real == Path("/") or real == home or real in home.parents:
            return "it is or holds the home folder"
        return holds_protected(real, self._own, home)


def _links(program: Path) -> tuple[Path, ...]:
    """The program, each link that it leads through, and where it really is."""
    found = [program]
    for _ in range(MAX_LINKS):
        if not found[-1].is_symlink():
            break
        target = found[-1].parent / found[-1].readlink()
        found.append(Path(os.path.normpath(target)))
    return tuple(dict.fromkeys([*found, program.resolve()]))


def _shebang(program: Path) -> str | None:
    """The interpreter that a script names in its first line; of `/usr/bin/env NAME` the NAME."""
    with program.open("rb") as file:
        first = file.read(MAX_SHEBANG_BYTES)
    if not first.startswith(b"#!"):
        return None
    words = first[2:].split(b"\n")[0].decode(errors="replace").split()
    if not words:
        return None
    if Path(words[0]).name != "env":
        return words[0]
    named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return named[0] if named else words[0]


def _node_modules(place: Path) -> Path | None:
    """The outermost node_modules that `place` lies in."""
    return next((parent for parent in reversed(place.parents) if parent.name == "node_modules"), None)


def _within(place: Path, folders: tuple[Path, ...]) -> bool:
    return any(place == folder or folder in place.parents for folder in folders)


def _outermost(mounts: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(one for one in mounts if not any(other in one.parents for other in mounts))


def _trusted(folder: str) -> bool:
    try:
        mode = Path(folder).stat().st_mode
    except OSError:
        return False
    return folder.startswith("/") and not mode & stat.S_IWOTH
