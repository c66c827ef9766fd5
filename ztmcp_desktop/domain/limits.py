"""What a server may touch."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Access(StrEnum):
    """How a folder may be used."""

    READ_ONLY = "ro"
    READ_WRITE = "rw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder with all that lies in it; `path` is absolute and resolved."""

    path: Path
    access: Access = Access.READ_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The whole of what one server may reach and use."""

    folders: tuple[Folder, ...] = ()
    memory_bytes: int = 2 * 1024**3
    processes: int = 128
    open_files: int = 1024
    call_s: float = 120.0
    start_s: float = 20.0
    result_bytes: int = 16 * 1024**2
