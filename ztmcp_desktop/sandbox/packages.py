"""npx, uvx and pipx run: the exact version is installed at approval into our own folder, and nothing at start."""

import asyncio
import json
import os
import re
import secrets
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject

INSTALL_S = 240.0
MAX_RECORD_BYTES = 64 * 1024
RECORD = "installed.json"
_STEERING = frozenset({"NODE_OPTIONS", "NODE_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "LD_PRELOAD"})
_NPM = re.compile(r"(?P<name>(?:@[a-z0-9~][\w.~-]*/)?[a-z0-9~][\w.~-]*)(?:@(?P<version>[\w.^~+-]+))?", re.ASCII)
_PYPI = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)(?P<extras>\[[\w.,-]+\])?(?:(?:==|@)(?P<version>[\w.!+-]+))?", re.ASCII
)
_ERROR = re.compile(r"(?:npm (?:error|ERR!)|ERROR:)\s+(\S.*)")
_ERROR_CODE = re.compile(r"npm (?:error|ERR!) (?:code|errno|syscall) .*")


class Registry(StrEnum):
    """Where a package comes from."""

    NPM = "npm"
    PYPI = "pypi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A command of npx, uvx or pipx run: the package, the program in it, and the program's arguments."""

    registry: Registry
    name: str
    extras: str
    version: str
    program: str
    arguments: tuple[str, ...]

    @property
    def spec(self) -> str:
        """The package as it is asked for."""
        at = "@" if self.registry is Registry.NPM else "=="
        return self.name + self.extras + (at + self.version if self.version else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package on disk: its folder, and its exact name and version as shown to the person."""

    folder: Path
    label: str
    wanted: Wanted


def wanted_package(argv: tuple[str, ...]) -> Wanted | None:
    """What `argv` would fetch and run, None if it is not a command that fetches.

    Raises:
        Denial: it fetches in a way that cannot be pinned, e.g. from a URL (`server-unavailable`).
    """
    rest = list(argv[1:])
    match Path(argv[0]).name:
        case "npx":
            return _parsed(Registry.NPM, rest, quiet={"-y", "--yes", "-q", "--quiet"}, source={"-p", "--package"})
        case "uvx":
            return _parsed(Registry.PYPI, rest, quiet={"-q", "--quiet"}, source={"--from"})
        case "pipx" if rest[:1] == ["run"]:
            return _parsed(Registry.PYPI, rest[1:], quiet={"-q", "--quiet"}, source={"--spec"})
        case _:
            return None


def _parsed(registry: Registry, rest: list[str], *, quiet: set[str], source: set[str]) -> Wanted:
    given: str | None = None
    while rest and rest[0].startswith("-"):
        option, _, value = rest.pop(0).partition("=")
        if option in source and (value or rest):
            given = value or rest.pop(0)
        elif option == "--":
            break
        elif option not in quiet:
            raise _cannot(f"the option {option} is not supported")
    if not rest:
        raise _cannot("it names no package")
    program = rest.pop(0)
    found = (_NPM if registry is Registry.NPM else _PYPI).fullmatch(given or program)
    if found is None:
        raise _cannot(f"{(given or program)[:100]!r} is not a package of a registry")
    named = found.groupdict()
    version = "" if named["version"] == "latest" else named["version"] or ""
    return Wanted(
        registry=registry,
        name=named["name"],
        extras=named.get("extras") or "",
        version=version,
        program=program if given else named["name"].rpartition("/")[2],
        arguments=tuple(rest),
    )


class Packages:
    """The packages that approvals installed, each in a folder of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, wanted: Wanted) -> Installed | None:
        """The newest installation of just this package, None if there is none."""
        records = self.folder.glob(f"*/{RECORD}") if self.folder.is_dir() else ()
        matching = [found for path in records if (found := _read(path, wanted)) is not None]
        return max(matching, key=lambda one: one.folder.stat().st_mtime_ns, default=None)

    async def install(self, wanted: Wanted) -> Installed:
        """Fetch the package without running any script of it.

        Raises:
            Denial: it cannot be installed (`server-unavailable`).
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self.folder / f"{wanted.registry.value}-{secrets.token_hex(6)}"
        target.mkdir(mode=0o700)
        try:
            if wanted.registry is Registry.NPM:
                version = await _install_npm(wanted, target)
            else:
                version = await _install_pypi(wanted, target)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        at = "@" if wanted.registry is Registry.NPM else "=="
        label = f"{wanted.name}{at}{version}"
        record = {"registry": wanted.registry.value, "spec": wanted.spec, "label": label}
        (target / RECORD).write_text(json.dumps(record), encoding="utf-8")
        return Installed(folder=target, label=label, wanted=wanted)


def _read(path: Path, wanted: Wanted) -> Installed | None:
    try:
        record: JsonObject = json.loads(path.read_bytes()[:MAX_RECORD_BYTES])
        same = (record["registry"], record["spec"]) == (wanted.registry.value, wanted.spec)
        return Installed(folder=path.parent, label=str(record["label"]), wanted=wanted) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def npm_program(installed: Installed) -> Path:
    """The script of an installed npm package that its command runs.

    Raises:
        Denial: the package has no such program (`server-unavailable`).
    """
    wanted = installed.wanted
    package = installed.folder / "node_modules" / wanted.name
    untrusted_bin = _package_json(package).get("bin")
    if isinstance(untrusted_bin, str):
        programs = {wanted.name.rpartition("/")[2]: untrusted_bin}
    else:
        programs = {str(key): str(value) for key, value in (untrusted_bin or {}).items()}
    only = next(iter(programs.values())) if len(programs) == 1 else None
    script = programs.get(wanted.program, only)
    found = (package / script).resolve() if script else package
    if not found.is_file() or installed.folder.resolve() not in found.parents:
        raise _cannot(f"the package {installed.label} has no program {wanted.program!r}")
    return found


def _package_json(package: Path) -> JsonObject:
    try:
        found = json.loads((package / "package.json").read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise _cannot("the package has no package.json")
    return found


async def _install_npm(wanted: Wanted, target: Path) -> str:
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--no-package-lock"]
    await _run(*_npm(), "install", "--prefix", str(target), *flags, "--", wanted.spec, what=wanted.spec)
    return str(_package_json(target / "node_modules" / wanted.name).get("version", ""))


def _npm() -> tuple[str, ...]:
    """The npm that came with node, run without its start script, which may be a lost link; else npm from PATH."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None:
        script = Path(node).resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return (node, str(script))
    if npm is None:
        raise _cannot("npm is not installed; install Node.js 20 or later")
    return (npm,)


async def _install_pypi(wanted: Wanted, target: Path) -> str:
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    await _run(str(python), "-m", "venv", str(target), what=wanted.spec)
    own = str(target / "bin" / "python")
    flags = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--no-input"]
    await _run(own, "-m", "pip", "install", *flags, "--", wanted.spec, what=wanted.spec)
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return (await _run(own, "-I", "-c", code, wanted.name, what=wanted.spec)).strip()


async def _run(*command: str, what: str) -> str:
    """What the command prints; it has no input, and ends with us or with its time."""
    environment = {key: value for key, value in os.environ.items() if key not in _STEERING}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), INSTALL_S)
    except TimeoutError:
        raise _cannot(f"installing {what} took longer than {INSTALL_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _cannot(f"{what} could not be installed: {installer_reason(err.decode(errors='replace'))}")
    return out.decode(errors="replace")


def installer_reason(untrusted_stderr: str) -> str:
    """The first line of an installer's errors that says what is wrong, without its label."""
    lines = [line.strip() for line in untrusted_stderr.splitlines() if line.strip()]
    errors = [found[1] for line in lines if (found := _ERROR.fullmatch(line)) and not _ERROR_CODE.fullmatch(line)]
    return (errors or lines[-1:] or ["it gave no reason"])[0][:300]


def _cannot(why: str) -> Denial:
    return Denial(Code.SERVER_UNAVAILABLE, f"the command cannot be resolved: {why}")
