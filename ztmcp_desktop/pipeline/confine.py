"""Stage 5: what the arguments name must lie within the server's limits."""

import asyncio
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ztmcp_desktop.domain.call import Call, Direction
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.limits import Access, Folder
from ztmcp_desktop.domain.proof import Classified, Confined, Identified
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.domain.server import RemoteUrl, Server
from ztmcp_desktop.ports import ServerBook
from ztmcp_desktop.scan.hosts import hosts_of
from ztmcp_desktop.scan.paths import Basis, PathArgument, path_arguments
from ztmcp_desktop.scan.protected import is_protected
from ztmcp_desktop.scan.readings import UnreadablePathError, readings
from ztmcp_desktop.scan.size import is_large
from ztmcp_desktop.scan.tables import tables_of
from ztmcp_desktop.scan.words import MAX_STRINGS, strings_of

MAX_PATHS = 1024
# SQL of a few kilobytes takes a second to parse in every dialect.
MAX_INLINE_BYTES = 1024
MAX_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    server: Server
    folders: tuple[Folder, ...]
    risk: Risk

    @property
    def base(self) -> Path | None:
        return self.folders[0].path if self.folders else None

    @property
    def needed(self) -> Access:
        """What the call needs of a folder. What is unknown may write, where no kernel keeps a folder read-only."""
        remote = isinstance(self.server.endpoint, RemoteUrl)
        may_write = self.risk in {Risk.WRITE, Risk.DESTROY} or (remote and self.risk is not Risk.READ)
        return Access.READ_WRITE if may_write else Access.READ_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    paths: tuple[PathArgument, ...]
    hosts: tuple[str, ...]
    tables: tuple[str, ...]


class Confine:
    """Checks every path argument against the server's folders and the list of what no limit may open.

    Each reading of a path must be inside (`scan/readings.py`). The paths of a remote server are on its own machine:
    they are checked only if folders were configured for it.
    """

    def __init__(self, servers: ServerBook, own_folders: tuple[Path, ...], user_home: Path) -> None:
        self._servers, self._own, self._home = servers, own_folders, user_home

    async def __call__(self, call: Call) -> Call:
        identified = call.proof(Identified)
        risk = call.proof(Classified).risk
        server = self._servers.get(identified.server)
        folders = tuple(Folder(path=f.path.resolve(), access=f.access) for f in server.limits.folders)
        bounds = _Bounds(server=server, folders=folders, risk=risk)
        large = is_large(call.arguments, MAX_INLINE_BYTES)
        named = await asyncio.to_thread(_named, call, bounds) if large else _named(call, bounds)
        # Follows links on the disk, for up to `MAX_PATHS` paths with a dozen readings each.
        paths = await asyncio.to_thread(self._permitted, named.paths, bounds) if named.paths else ()
        return call.proved(Confined(paths=paths, hosts=named.hosts, tables=named.tables))

    def _permitted(self, found: tuple[PathArgument, ...], bounds: _Bounds) -> tuple[str, ...]:
        permitted = [str(path) for argument in found if (path := self._permit(argument, bounds)) is not None]
        return tuple(dict.fromkeys(permitted))

    def _permit(self, argument: PathArgument, bounds: _Bounds) -> Path | None:
        """The plainest reading, None where the argument has none.

        Raises:
            Denial: a reading is outside, needs more than the folder's access, or is protected (`outside-limits`).
        """
        try:
            meant = readings(argument.value, bounds.base, self._home)
        except UnreadablePathError as error:
            raise _outside(argument, f"cannot be permitted: {error}", bounds) from error
        if not bounds.folders and argument.basis is Basis.LOOKS:
            # Without folders the process sees no files, and this may be the path of a web page as well.
            return None
        for path in meant:
            holding = [f for f in bounds.folders if path == f.path or f.path in path.parents]
            if not holding:
                raise _outside(argument, "is outside", bounds)
            if bounds.needed is Access.READ_WRITE and _narrowest(holding).access is not Access.READ_WRITE:
                raise _outside(argument, "is in a folder that may only be read, and the call may write", bounds)
            if (reason := is_protected(path, bounds.needed, self._own, self._home)) is not None:
                raise Denial(
                    Code.OUTSIDE_LIMITS,
                    f"the argument {_shown(argument)} is never permitted: {reason}",
                    Retry.DIFFERENT,
                )
        return meant[0] if meant else None


def _named(call: Call, bounds: _Bounds) -> _Named:
    """What the arguments name, whether it is permitted or not."""
    paths = _paths(call, bounds) if call.direction is Direction.TO_SERVER else ()
    return _Named(paths=paths, hosts=hosts_of(call.arguments), tables=tables_of(call.subject, call.arguments))


def _paths(call: Call, bounds: _Bounds) -> tuple[PathArgument, ...]:
    if isinstance(bounds.server.endpoint, RemoteUrl) and not bounds.folders:
        return ()
    if sum(1 for _ in islice(strings_of(call.arguments), MAX_STRINGS + 1)) > MAX_STRINGS:
        raise Denial(Code.OUTSIDE_LIMITS, "the arguments hold too many texts to be checked for paths")
    schema = call.proof(Identified).pin.item.get("inputSchema")
    found = path_arguments(call.arguments, schema if isinstance(schema, dict) else {})
    if len(found) > MAX_PATHS:
        raise Denial(Code.OUTSIDE_LIMITS, f"the arguments name more than {MAX_PATHS} paths")
    return found


def _narrowest(holding: list[Folder]) -> Folder:
    """The folder that lies deepest, whose access the sandbox gives too."""
    return max(holding, key=lambda folder: len(folder.path.parts))


def _shown(argument: PathArgument) -> str:
    return (argument.pointer.lstrip("/") or "itself")[:MAX_SHOWN_CHARS]


def _outside(argument: PathArgument, why: str, bounds: _Bounds) -> Denial:
    allowed = ", ".join(f"{f.path} ({f.access.value})" for f in bounds.folders) or "none"
    return Denial(
        Code.OUTSIDE_LIMITS,
        f"the argument {_shown(argument)} {why}; the folders permitted for {bounds.server.name} are: {allowed}",
        Retry.DIFFERENT,
    )
