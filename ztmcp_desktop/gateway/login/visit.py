"""One call's way past a server's challenges: each remedy is tried once, and then it is over."""

from enum import Enum, auto

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import Server
from ztmcp_desktop.gateway.challenge import FORBIDDEN, Challenge
from ztmcp_desktop.gateway.login.logins import Logins

MAX_CHALLENGES = 4


class _Remedy(Enum):
    RENEW = auto()
    LOG_IN = auto()
    STEP_UP = auto()


class Visit:
    """Made for one call of one client, or for a look at the server in the person's own name."""

    def __init__(self, logins: Logins, server: Server, client: ClientName | None) -> None:
        self._logins = logins
        self._server = server
        self._client = client
        self._used: Sealed[str] | None = None
        self._tried: set[_Remedy] = set()
        self._met = 0

    async def ready(self) -> None:
        """Before each try. Raises as `Logins.ready`."""
        await self._logins.ready(self._server, self._client)
        self._used = self._logins.token(self._server)

    async def meet(self, challenge: Challenge) -> None:
        """Return if it is worth another try.

        Raises:
            Challenge: this server has no login of ours.
            Denial: nothing helps (`server-unavailable`); as `Logins.log_in`.
        """
        self._met += 1
        if not self._logins.takes(self._server):
            raise challenge
        if self._met >= MAX_CHALLENGES:
            raise _useless()
        if challenge.status == FORBIDDEN:
            self._once(_Remedy.STEP_UP)
            await self._logins.log_in(self._server, self._client, challenge)
            return
        if _Remedy.RENEW not in self._tried:
            self._tried.add(_Remedy.RENEW)
            if await self._logins.renewed(self._server, self._used):
                return
        self._once(_Remedy.LOG_IN)
        await self._logins.log_in(self._server, self._client, challenge)

    def _once(self, remedy: _Remedy) -> None:
        if remedy in self._tried:
            raise _useless()
        self._tried.add(remedy)


def _useless() -> Denial:
    return Denial(Code.SERVER_UNAVAILABLE, "the server does not accept the login that it asked for")
