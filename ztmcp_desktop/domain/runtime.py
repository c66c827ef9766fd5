"""What a local server needs of this machine in order to run, as it was approved."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The command as it is really run, and what of the disk is shown to it read-only.

    `argv[0]` is absolute. `mounts` are absolute paths (files or folders). `installed` names packages that approval
    installed into our own folder, each with its exact version, e.g. `mcp-server-time==2026.10.19`.
    """

    argv: tuple[str, ...]
    mounts: tuple[Path, ...] = ()
    path: tuple[Path, ...] = ()
    installed: tuple[str, ...] = ()
