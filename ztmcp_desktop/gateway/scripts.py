"""What an interpreter was told to run, read from the arguments of its process; what cannot be told is said so."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_LINKS = 16
UNTOLD = "(what it runs cannot be told)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`text` says what is run; `file` is the script, `digest` the SHA-256 of code that stands in the arguments."""

    text: str
    file: Path | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grammar:
    """The options of an interpreter: those with a value of their own, those with code, those with a module's name."""

    name: re.Pattern[str]
    valued: frozenset[str]
    code: re.Pattern[str]
    module: str | None = None


_GRAMMARS = (
    _Grammar(
        name=re.compile(r"(python|pypy)[0-9.]*w?(\.exe)?"),
        valued=frozenset({"-W", "-X", "--check-hash-based-pycs"}),
        code=re.compile(r"-[bBdEhiIOPqsSuvVx]*c"),
        module="m",
    ),
    _Grammar(
        name=re.compile(r"(node|nodejs|bun)(\.exe)?"),
        valued=frozenset({"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"}),
        code=re.compile(r"-(e|p|pe)|--eval|--print"),
    ),
    _Grammar(
        name=re.compile(r"(ba|da|z|k|fi)?sh|busybox"), valued=frozenset({"-o", "-O"}), code=re.compile(r"-[a-z]*c")
    ),
    _Grammar(name=re.compile(r"(ruby|perl)[0-9.]*"), valued=frozenset({"-I", "-r", "-C"}), code=re.compile(r"-[eE]")),
)
_OTHERS = re.compile(r"(deno|java|php|lua|dotnet|mono|Rscript|julia|wine)[0-9.]*(\.exe)?")
_JOINED_MODULE = re.compile(r"-[bBdEhiIOPqsSuvVx]*m")


def told_to_run(executable: str, arguments: Sequence[str], folder: str | None) -> Told | None:
    """What `executable` runs, None where it is no interpreter. `folder` is where relative paths begin.

    It is None where the process sees other files than we do; then no path of it means anything here. The arguments are
    the process's own: it can alter them, and the file may have changed since it was read.
    """
    name = Path(executable).name
    grammar = next((known for known in _GRAMMARS if known.name.fullmatch(name)), None)
    if grammar is None:
        return Told(text=UNTOLD) if _OTHERS.fullmatch(name) else None
    return _parse(grammar, list(arguments[1:]), folder)


def _parse(grammar: _Grammar, rest: list[str], folder: str | None) -> Told:
    while rest:
        word = rest.pop(0)
        if grammar.code.fullmatch(word):
            return Told(text="-c", digest=hashlib.sha256(rest[0].encode()).hexdigest()) if rest else Told(text=UNTOLD)
        if grammar.module and _JOINED_MODULE.fullmatch(word):
            return Told(text=f"-m {rest[0]}") if rest else Told(text=UNTOLD)
        if word in grammar.valued:
            rest[:1] = []
        elif not word.startswith("-"):
            return _script(word, folder)
    return Told(text=UNTOLD)


def _script(word: str, folder: str | None) -> Told:
    if folder is None:
        return Told(text=UNTOLD)
    try:
        path = _resolved(Path(folder) / word)
        if path is not None and path.is_file():
            return Told(text=str(path), file=path)
    except (OSError, ValueError, RuntimeError):
        pass
    return Told(text=UNTOLD)


def _resolved(path: Path) -> Path | None:
    """The path without links; None where it leads through what is another thing in each process (`/dev/fd/63`)."""
    for _ in range(MAX_LINKS):
        whole = Path(os.path.normpath(path.parent.resolve() / path.name))
        if whole.is_relative_to("/proc") or whole.is_relative_to("/dev"):
            return None
        if not whole.is_symlink():
            return whole
        path = whole.parent / whole.readlink()
    return None
