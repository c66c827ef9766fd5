"""What a server wrote to standard error when its trial failed, kept for whoever looks later."""

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.domain.names import ServerName

MAX_LINES = 20


class LastWords:
    """In the state store, so that another process, such as the next command, finds them; masked like the ledger."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts

    def keep(self, server: ServerName) -> list[str]:
        """Keep the last lines that the server's processes have written, and give them."""
        kept = self._parts.redact({"lines": _once(list(self._parts.upstreams.log(server)))[-MAX_LINES:]})
        self._parts.state.save(_record(server), kept)
        return list(kept["lines"])

    def of(self, server: ServerName) -> list[str]:
        """What was kept, empty where nothing was."""
        return list((self._parts.state.load(_record(server)) or {}).get("lines", []))

    def forget(self, server: ServerName) -> None:
        """Keep nothing any more."""
        if self.of(server):
            self._parts.state.save(_record(server), {})


def _once(lines: list[str]) -> list[str]:
    """The lines without their repetition: each era is tried with a process of its own, which mostly says the same."""
    half = len(lines) // 2
    return lines[half:] if lines[:half] == lines[half:] else lines


def _record(server: ServerName) -> str:
    return f"last-words/{server}"
