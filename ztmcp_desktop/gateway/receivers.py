"""Which program listens at a port of this machine, and so receives what is sent there, as the operating system says."""

import psutil

from ztmcp_desktop.domain.caller import Caller, Unknown
from ztmcp_desktop.gateway.programs import NotTold, Programs

_NOT_ONE = Unknown(why="no program, or more than one, that may be looked into listens there")
_SILENT = Unknown(why="the system does not tell")


def find_listener(host: str, port: int, programs: Programs) -> Caller:
    """The one program that listens at `port` of a loopback name or address."""
    hosts = {"localhost": {"127.0.0.1", "::1"}}.get(host, {host}) | {"0.0.0.0", "::"}  # noqa: S104 - looked for
    try:
        pids = {
            connection.pid
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr[0] in hosts
            and connection.laddr[1] == port
        }
        pid = pids.pop() if len(pids) == 1 else None
        return programs.of(pid) if pid else _NOT_ONE
    except NotTold as untold:
        return Unknown(why=str(untold))
    except (psutil.Error, OSError):
        return _SILENT
