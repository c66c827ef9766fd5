"""What a confined process is started with, and what this machine can enforce."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sealed import Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of a local server. `env` holds all its variables, secrets included."""

    server: ServerName
    runtime: Runtime
    limits: Limits
    env: Sealed[Mapping[str, str]]
    scratch: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReport:
    """`works` False means that no local server starts; `missing` are limits that do not bind here.

    `reason` and `mend` are sentences for the person, empty where nothing is wrong.
    """

    name: str
    works: bool
    reason: str = ""
    mend: str = ""
    missing: tuple[str, ...] = ()
