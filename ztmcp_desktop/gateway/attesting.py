"""Attests connections: finds who holds the other end, describes it, and checks that it holds it still."""

import os
import socket
import struct
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass

import psutil

from ztmcp_desktop.domain.caller import Attested, Caller, Unknown
from ztmcp_desktop.gateway.programs import NotTold, Programs, running_file
from ztmcp_desktop.gateway.socket_owners import Ends, held_as, holders, holds, tcp_inode, unix_peer_inode

MAX_RECENT = 16
RECENT_S = 30.0
SILENT = Unknown(why="the system does not tell")
_CREDENTIALS = struct.Struct("3i")
_CLOSED = Unknown(why="the connection was closed")
_SHARED = Unknown(why="several programs hold the connection")
_HIDDEN = Unknown(why="no program that may be looked into holds the connection")
_FOREIGN = Unknown(why="it belongs to another user")
_PASSED_ON = Unknown(why="the connection was closed or passed on while it was looked at")

Where = Ends | socket.socket
"""A TCP connection by its ends, or our end of a Unix connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recent:
    """A process that was found in a walk through all of them, and what was found out about it."""

    process: psutil.Process
    file: tuple[str, int, int]
    described: Attested
    found_s: float


class Attester:
    """Finds out who holds the other end of connections. For one thread.

    Clients that open a connection for each call are looked for among the processes of the last half minute first: they
    must hold the socket, be the same process still and run the same file.
    """

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._recent: OrderedDict[int, _Recent] = OrderedDict()

    def attest(self, wheres: list[Where]) -> list[Caller]:
        """Who holds the other end of each connection; for all that are not found at once, one walk."""
        if sys.platform != "linux":
            return [portable(where, self._programs) for where in wheres]
        inodes = [_inode(where) for where in wheres]
        callers: dict[int, Caller] = {}
        for at, (where, inode) in enumerate(zip(wheres, inodes, strict=True)):
            if isinstance(inode, Unknown):
                callers[at] = inode
            elif (known := self._among_recent(where, inode)) is not None:
                callers[at] = known
        wanted = {inode for at, inode in enumerate(inodes) if at not in callers and isinstance(inode, int)}
        found = holders(wanted, os.geteuid()) if wanted else {}
        for at, (where, inode) in enumerate(zip(wheres, inodes, strict=True)):
            if at not in callers and isinstance(inode, int):
                callers[at] = self._checked(where, inode, found[inode])
        return [callers[at] for at in range(len(wheres))]

    def _among_recent(self, where: Where, inode: int) -> Attested | None:
        if isinstance(where, socket.socket):
            return None
        for pid, recent in reversed(self._recent.items()):
            if recent.found_s + RECENT_S < time.monotonic():
                continue
            descriptor = held_as(pid, inode)
            if descriptor is None:
                continue
            try:
                same = recent.process.is_running() and running_file(recent.process) == recent.file
            except (psutil.Error, OSError):
                same = False
            if same and holds(pid, descriptor, inode) and _inode(where) == inode:
                return recent.described
        return None

    def _checked(self, where: Where, inode: int, held_by: list[tuple[int, str]]) -> Caller:
        if len(held_by) != 1:
            return _SHARED if held_by else _HIDDEN
        pid, descriptor = held_by[0]
        if isinstance(where, socket.socket) and _credentials(where)[0] != pid:
            return _PASSED_ON
        try:
            process = psutil.Process(pid)
            file = running_file(process)
            described = self._programs.of(pid)
            if isinstance(where, socket.socket):
                described = self._programs.behind_bridge(described)
        except NotTold as untold:
            return Unknown(why=str(untold))
        except (psutil.Error, OSError):
            return Unknown(why="the program may not be looked into")
        if not holds(pid, descriptor, inode) or _inode(where) != inode:
            return _PASSED_ON
        if not isinstance(where, socket.socket):
            self._recent[pid] = _Recent(process=process, file=file, described=described, found_s=time.monotonic())
            self._recent.move_to_end(pid)
            while len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        return described


def _inode(where: Where) -> int | Unknown:
    """The socket at the other end, or why it is not looked for."""
    try:
        if isinstance(where, socket.socket):
            if _credentials(where)[1] != os.geteuid():
                return _FOREIGN
            return unix_peer_inode(where) or _CLOSED
        return tcp_inode(where) or _CLOSED
    except OSError:
        return SILENT


def _credentials(connection: socket.socket) -> tuple[int, int, int]:
    """(pid, user, group) of whoever opened the other end."""
    pid, user, group = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return int(pid), int(user), int(group)


def portable(where: Where, programs: Programs) -> Caller:
    """As psutil tells it, where there is no /proc; Unix sockets it does not tell."""
    if not isinstance(where, Ends):
        return SILENT
    try:
        pids = _portable_holders(where)
        if len(pids) != 1:
            return _SHARED if pids else _HIDDEN
        described = programs.of(pids[0])
        return described if _portable_holders(where) == pids else _PASSED_ON
    except NotTold as untold:
        return Unknown(why=str(untold))
    except (psutil.Error, OSError):
        return SILENT


def _portable_holders(ends: Ends) -> list[int]:
    wanted = (tuple(ends.near), tuple(ends.ours))
    return [
        connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.pid and connection.laddr and (tuple(connection.laddr), tuple(connection.raddr)) == wanted
    ]
