"""Which processes hold the other end of a local connection, as the Linux kernel says (sock_diag(7), proc(5))."""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

ANSWER_S = 1.0
_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST = 1
_ANY_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
_ALL_STATES = 0xFFFFFFFF
_SHOW_PEER = 4
_PEER = 2
_LISTENING = 10
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_MAX_ANSWER = 8192

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """A TCP connection on loopback: the caller's end, and ours. Each is (host, port)."""

    near: Address
    ours: Address


def tcp_inode(ends: Ends) -> int | None:
    """The inode of the caller's socket; None where there is no such connection any more.

    Raises:
        OSError: the kernel does not tell.
    """
    with contextlib.suppress(OSError):
        if inode := _tcp_by_netlink(ends):
            return inode
    # A kernel without sock_diag for TCP says the same as of a connection that is gone.
    return _tcp_by_table(ends)


def unix_peer_inode(connection: socket.socket) -> int | None:
    """The inode of the socket at the other end of a Unix connection; None where it is closed.

    Raises:
        OSError: the kernel does not tell.
    """
    inode = os.fstat(connection.fileno()).st_ino
    asked = struct.pack("=BBHIII2I", socket.AF_UNIX, 0, 0, _ALL_STATES, inode, _SHOW_PEER, *_ANY_COOKIE)
    answer = _ask(asked)
    if answer is None:
        return None
    at = 16
    while at + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        if kind == _PEER:
            return int(struct.unpack_from("=I", answer, at + 4)[0]) or None
        if length < _ATTRIBUTE.size:
            return None
        at += (length + 3) & ~3
    return None


def holders(inodes: Collection[int], owner: int) -> dict[int, list[tuple[int, str]]]:
    """For each socket the processes of the user `owner` that hold it: (pid, name of the descriptor)."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, list[tuple[int, str]]] = {inode: [] for inode in inodes}
    with os.scandir("/proc") as processes:
        for process in processes:
            if not process.name.isdigit():
                continue
            try:
                if process.stat().st_uid == owner:
                    _look_into(int(process.name), wanted, found)
            except OSError:
                # It ended, or is not to be looked into: then it is not found, and nobody is guessed in its place.
                continue
    return found


def holds(pid: int, descriptor: str, inode: int) -> bool:
    """Whether this descriptor of the process is that socket still."""
    try:
        return str(Path(f"/proc/{pid}/fd/{descriptor}").readlink()) == f"socket:[{inode}]"
    except OSError:
        return False


def held_as(pid: int, inode: int) -> str | None:
    """The name of the descriptor under which the process holds the socket, None where it does not."""
    found: dict[int, list[tuple[int, str]]] = {inode: []}
    try:
        _look_into(pid, {f"socket:[{inode}]": inode}, found)
    except OSError:
        return None
    return found[inode][0][1] if found[inode] else None


def _look_into(pid: int, wanted: dict[str, int], found: dict[int, list[tuple[int, str]]]) -> None:
    with os.scandir(f"/proc/{pid}/fd") as descriptors:
        for descriptor in descriptors:
            try:
                inode = wanted.get(os.readlink(descriptor.path))  # noqa: PTH115 - thousands of them in each walk
            except OSError:
                continue
            if inode is not None and not any(holder == pid for holder, _ in found[inode]):
                found[inode].append((pid, descriptor.name))


def _tcp_by_netlink(ends: Ends) -> int | None:
    family = socket.AF_INET6 if ":" in ends.near[0] else socket.AF_INET
    hosts = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (ends.near, ends.ours)]
    asked = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES)
    asked += struct.pack("!HH16s16s", ends.near[1], ends.ours[1], *hosts) + struct.pack("=I2I", 0, *_ANY_COOKIE)
    answer = _ask(asked)
    if answer is None:
        return None
    state, ports = answer[1], struct.unpack_from("!HH", answer, 4)
    inode = struct.unpack_from("=I", answer, 68)[0]
    if state == _LISTENING or ports != (ends.near[1], ends.ours[1]):
        return None
    return int(inode) or None


def _tcp_by_table(ends: Ends) -> int | None:
    """As above from /proc/net, which a kernel without sock_diag has too; it takes milliseconds."""
    near, ours = ({_hexadecimal(address), _hexadecimal(address, mapped=True)} for address in (ends.near, ends.ours))
    for name in ("tcp", "tcp6"):
        table = Path("/proc/net") / name
        for line in table.read_text("ascii").splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[1] in near and fields[2] in ours:
                return int(fields[9]) or None
    return None


def _hexadecimal(address: Address, *, mapped: bool = False) -> str:
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    if mapped and family is socket.AF_INET:
        packed = b"\0" * 10 + b"\xff\xff" + packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _ask(request: bytes) -> bytes | None:
    """The kernel's answer about one socket, None where there is no such socket."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as kernel:
        kernel.settimeout(ANSWER_S)
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _REQUEST, 1, 0) + request)
        answer = kernel.recv(_MAX_ANSWER)
    kind = _HEADER.unpack_from(answer)[1]
    if kind != _BY_FAMILY:
        error = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if error == errno.ENOENT:
            return None
        raise OSError(error, os.strerror(error))
    return answer[_HEADER.size :]
