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
_INTERPRETER = re.compile(r"(?:python|pypy|node|deno|bun|ruby|perl|php|lua|sh|bash|dash|java)[\d.]*", re.ASCII)
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
        mounts: dict[Path, None] = {}
        path: dict[Path, None] = {}
        program = self._add_program(self._executable(argv[0]), mounts, path)
        arguments = self._with_script(program, list(argv[1:]), mounts)
        kept = tuple(mount for mount in mounts if not _within(mount, SYSTEM))
        return Runtime(argv=(str(program), *arguments), mounts=_outermost(kept), path=tuple(path), installed=installed)

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
                raise Denial(
                    Code.SERVER_UNAVAILABLE,
                    f"there is no command {command} on this machine; install it, or give its whole path",
                )
            found = Path(name)
        if not found.is_file() or not os.access(found, os.X_OK):
            raise Denial(
                Code.SERVER_UNAVAILABLE,
                f"{found} is not there or cannot be run; install it, or add the server with another path",
            )
        return Path(os.path.normpath(found))

    def _add_program(self, program: Path, mounts: dict[Path, None], path: dict[Path, None], depth: int = 0) -> Path:
        """Mount the program with what it is installed in and its interpreter; gives the path to run it by.

        That is the first link on the way to it whose installation may be shown: a virtual environment's python must be
        called by its link, a link in the home's own bin must not.
        """
        if depth > MAX_SHEBANGS:
            raise Denial(Code.SERVER_UNAVAILABLE, f"{program} has too many interpreters")
        links = _links(program)
        chosen = next((place for place in links if self._installation(place) is not None), links[-1])
        for place in links[links.index(chosen) :]:
            if not _within(place, SYSTEM):
                self._mount(self._installation(place) or place, mounts)
                self._add_base(place, mounts)
        path.setdefault(chosen.parent)
        interpreter = _shebang(program)
        if interpreter:
            self._add_program(self._executable(interpreter), mounts, path, depth + 1)
        return chosen

    def _installation(self, program: Path) -> Path | None:
        """The folder that the program is installed in: `PREFIX` of `PREFIX/bin/NAME`, or a node_modules."""
        if _within(program, SYSTEM):
            return program.parent
        modules = _node_modules(program)
        prefix = modules or (program.parent.parent if program.parent.name in {"bin", "Scripts"} else None)
        return None if prefix is None or self._refuse(prefix) else prefix

    def _add_base(self, program: Path, mounts: dict[Path, None]) -> None:
        """Mount the Python that a virtual environment was made of."""
        config = program.parent.parent / "pyvenv.cfg"
        if not config.is_file():
            return
        found = _PYVENV_HOME.search(config.read_text(encoding="utf-8", errors="replace"))
        base = Path(found[1].strip()) if found else None
        if base and base.is_absolute() and base.name == "bin" and not _within(base.resolve(), SYSTEM):
            self._mount(base.parent, mounts)

    def _with_script(self, program: Path, arguments: list[str], mounts: dict[Path, None]) -> list[str]:
        """Mount the script that an interpreter is given, with the node_modules that it lies in, under its real path.

        Only the first file of the command is a script; later ones are data, which only a limit can open.
        """
        if _INTERPRETER.fullmatch(program.name) is None:
            return arguments
        for index, argument in enumerate(arguments):
            if argument.startswith("/") and os.path.isfile(argument):  # noqa: PTH113 - may hold any characters
                script = Path(argument).resolve()
                if not _within(script, SYSTEM):
                    self._mount(_node_modules(script) or script, mounts)
                return [*arguments[:index], str(script), *arguments[index + 1 :]]
        return arguments

    def _mount(self, place: Path, mounts: dict[Path, None]) -> None:
        if reason := self._refuse(place):
            raise Denial(Code.OUTSIDE_LIMITS, f"the command needs {place}, which is not shown to servers: {reason}")
        mounts.setdefault(place.resolve())

    def _refuse(self, place: Path) -> str | None:
        real = place.resolve()
        if self._packages.folder.resolve() in real.parents:
            return None
        home = self._home.resolve()
        if real == Path("/") or real == home or real in home.parents:
            return "it is or holds the home folder"
        return holds_protected(real, self._own, home)


def _links(program: Path) -> tuple[Path, ...]:
    """The program, each link that it leads through, and where it really is; the folders of each are resolved."""
    found = [program.parent.resolve() / program.name]
    for _ in range(MAX_LINKS):
        if not found[-1].is_symlink():
            break
        target = found[-1].parent / found[-1].readlink()
        found.append(target.parent.resolve() / target.name)
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
