"""The levels of log lines, and which of them a client wants."""

from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.domain.offer import Era

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def is_wanted(era: Era, wanted: str | None, level: Json) -> bool:
    """Whether a client wants a log line of this level; unasked, the handshake era leaves that to the server."""
    if wanted is None:
        return era is Era.LEGACY
    known = level in LEVELS and wanted in LEVELS
    return not known or LEVELS.index(str(level)) >= LEVELS.index(wanted)
