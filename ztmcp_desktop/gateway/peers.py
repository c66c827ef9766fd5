"""Which process holds the other end of a local connection, as the operating system says; never a guess."""

import asyncio
import os
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from ztmcp_desktop.domain.caller import Caller, Unknown
from ztmcp_desktop.gateway.programs import NotTold, Programs
from ztmcp_desktop.gateway.socket_owners import Ends, holders, holds, tcp_inode, unix_peer_inode

MAX_WAITING = 1024
# A large program may have to be read from a slow disk once; after that a look takes milliseconds.
PATIENCE_S = 8.0
_CREDENTIALS = struct.Struct("3i")
_CLOSED = Unknown(why="the connection was closed")
_SHARED = Unknown(why="several programs hold the connection")
_HIDDEN = Unknown(why="no program that may be looked into holds the connection")
_FOREIGN = Unknown(why="it belongs to another user")
_SILENT = Unknown(why="the system does not tell")
_SLOW = Unknown(why="it could not be found out in time")
_PASSED_ON = Unknown(why="the connection was closed or passed on while it was looked at")

Where = Ends | socket.socket
"""A TCP connection by its ends, or our end of a Unix connection."""


@dataclass(slots=True)
class Held:
    """What is kept for one connection, for as long as it lasts: who is at its other end, once that was asked for."""

    where: Where | None
    found: "asyncio.Future[Caller] | None" = None


class Peers:
    """Looks callers up in a thread of its own, all that wait in one walk through the processes. Decides nothing."""

    def __init__(self, programs: Programs | None = None) -> None:
        self._programs = programs or Programs()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ztmcp-peers")
        self._waiting: list[tuple[Where, asyncio.Future[Caller]]] = []
        self._work: asyncio.Task[None] | None = None

    def begin(self, held: Held) -> None:
        """Start to look, once a connection; the call need not wait for it yet."""
        if held.found is not None:
            return
        held.found = asyncio.get_running_loop().create_future()
        if held.where is None:
            held.found.set_result(_SILENT)
        elif len(self._waiting) >= MAX_WAITING:
            held.found.set_result(_SLOW)
        else:
            self._waiting.append((held.where, held.found))
            if self._work is None or self._work.done():
                self._work = asyncio.create_task(self._look())

    async def caller(self, held: Held) -> Caller:
        """Who is at the other end; waits for at most 8 s, and at once when it is known already."""
        self.begin(held)
        found = held.found
        if found is None:
            return _SILENT
        if not found.done():
            await asyncio.wait({found}, timeout=PATIENCE_S)
        return found.result() if found.done() else _SLOW

    async def _look(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                loop = asyncio.get_running_loop()
                callers = await loop.run_in_executor(
                    self._thread, attest, [where for where, _ in batch], self._programs
                )
            except Exception:  # noqa: BLE001 - a look-up that fails is no reason to leave a call waiting
                callers = [_SILENT] * len(batch)
            for (_, found), caller in zip(batch, callers, strict=True):
                if not found.done():
                    found.set_result(caller)


def attest(wheres: list[Where], programs: Programs) -> list[Caller]:
    """Who holds the other end of each connection, found in one walk; what was read is checked after reading."""
    if sys.platform != "linux":
        return [_portable(where, programs) for where in wheres]
    inodes = [_inode(where) for where in wheres]
    wanted = {inode for inode in inodes if isinstance(inode, int)}
    found = holders(wanted, os.geteuid()) if wanted else {}
    return [
        _checked(where, inode, found[inode], programs) if isinstance(inode, int) else inode
        for where, inode in zip(wheres, inodes, strict=True)
    ]


def _inode(where: Where) -> int | Unknown:
    """The socket at the other end, or why it is not looked for."""
    try:
        if isinstance(where, socket.socket):
            if _credentials(where)[1] != os.geteuid():
                return _FOREIGN
            return unix_peer_inode(where) or _CLOSED
        return tcp_inode(where) or _CLOSED
    except OSError:
        return _SILENT


def _checked(where: Where, inode: int, held_by: list[tuple[int, str]], programs: Programs) -> Caller:
    if len(held_by) != 1:
        return _SHARED if held_by else _HIDDEN
    pid, descriptor = held_by[0]
    if isinstance(where, socket.socket) and _credentials(where)[0] != pid:
        return _PASSED_ON
    try:
        described = programs.of(pid)
        if isinstance(where, socket.socket):
            described = programs.behind_bridge(described)
    except NotTold as untold:
        return Unknown(why=str(untold))
    if not holds(pid, descriptor, inode) or _inode(where) != inode:
        return _PASSED_ON
    return described


def _credentials(connection: socket.socket) -> tuple[int, int, int]:
    """(pid, user, group) of whoever opened the other end."""
    pid, user, group = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return int(pid), int(user), int(group)


def _portable(where: Where, programs: Programs) -> Caller:
    """As psutil tells it, where there is no /proc; Unix sockets it does not tell."""
    if not isinstance(where, Ends):
        return _SILENT
    try:
        pids = _portable_holders(where)
        if len(pids) != 1:
            return _SHARED if pids else _HIDDEN
        described = programs.of(pids[0])
        return described if _portable_holders(where) == pids else _PASSED_ON
    except NotTold as untold:
        return Unknown(why=str(untold))
    except (psutil.Error, OSError):
        return _SILENT


def _portable_holders(ends: Ends) -> list[int]:
    wanted = (tuple(ends.near), tuple(ends.ours))
    return [
        connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.pid and connection.laddr and (tuple(connection.laddr), tuple(connection.raddr)) == wanted
    ]
