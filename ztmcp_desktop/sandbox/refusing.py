"""The sandbox of a machine that has none: nothing local starts, and the message says why."""

from typing import NoReturn

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.sandbox import Launch, SandboxReport


class Refusing:
    """Implements `ports.Sandbox` by starting nothing."""

    def __init__(self, name: str, reason: str, mend: str) -> None:
        self._report = SandboxReport(name=name, works=False, reason=reason, mend=mend)

    def report(self) -> SandboxReport:
        return self._report

    async def start(self, launch: Launch) -> NoReturn:
        raise Denial(
            Code.SERVER_UNAVAILABLE,
            f"{launch.server} was not started, as it cannot be confined: {self._report.reason} {self._report.mend}",
        )
