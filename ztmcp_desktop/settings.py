"""The settings model, and where our folders are. Reading and writing the file is done by `control/configuration.py`."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import platformdirs

APPLICATION = "ztmcp"
DEFAULT_PORT = 7420


class DeskKind(StrEnum):
    """Who answers questions when there is no window."""

    NOBODY = "nobody"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a person may set. Seconds, bytes and counts are in the names."""

    port: int = DEFAULT_PORT
    allowed_origins: tuple[str, ...] = ()
    internal_hosts: tuple[str, ...] = ()
    client_metadata_url: str = ""
    headless_desk: DeskKind = DeskKind.NOBODY
    patience_s: float = 60.0
    question_life_s: float = 600.0
    settle_ms: int = 700
    max_open_questions: int = 32
    session_idle_s: float = 1800.0
    max_sessions: int = 256
    request_bytes: int = 16 * 1024**2
    max_json_depth: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Our folders (contract, Where things are). `run` holds the control socket and the lock."""

    config: Path
    data: Path
    state: Path
    run: Path
    logs: Path

    @property
    def config_file(self) -> Path:
        """Settings and servers."""
        return self.config / "config.toml"

    @property
    def rules(self) -> Path:
        """The person's Cedar rules."""
        return self.config / "rules"

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.data / "ledger.db"

    @property
    def packages(self) -> Path:
        """What approval installed for npx, uvx and pipx run."""
        return self.data / "packages"

    @property
    def lock_file(self) -> Path:
        """Held by the one process that owns this home."""
        return self.run / "ledger.lock"

    def folders(self) -> tuple[Path, ...]:
        """Every folder of ours."""
        return (self.config, self.data, self.state, self.run, self.logs)


def find_home() -> Home:
    """Where our folders are: all below `ZTMCP_HOME` if that is set, else where the system puts such things."""
    if root := os.environ.get("ZTMCP_HOME"):
        base = Path(root).absolute()
        return Home(
            config=base / "config", data=base / "data", state=base / "state", run=base / "run", logs=base / "logs"
        )
    dirs = platformdirs.PlatformDirs(APPLICATION, appauthor=False)
    state = dirs.user_state_path
    run = dirs.user_runtime_path if os.environ.get("XDG_RUNTIME_DIR") else state / "run"
    return Home(config=dirs.user_config_path, data=dirs.user_data_path, state=state, run=run, logs=dirs.user_log_path)
