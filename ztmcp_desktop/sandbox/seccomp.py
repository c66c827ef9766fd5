"""The system calls that a confined process may not make, as a seccomp filter program (seccomp(2), classic BPF)."""

import errno
import platform
import struct
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000

_NEW_NAMESPACES = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 2, 10, 16, 0
_TYPE_MASK, _SOCK_DGRAM = 0xF, 2
_CREATES, _SET_ID = 0o100 | 0o20000000, 0o6000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """A processor's number in the kernel's audit interface, and its system call numbers."""

    audit: int
    denied: tuple[int, ...]
    absent: tuple[int, ...]
    clone: int
    ioctl: int
    socket: int
    socketpair: int
    modes: tuple[tuple[int, int], ...]
    """Calls that give a file its mode, with the argument that holds it."""
    opens: tuple[tuple[int, int, int], ...]
    """The same for calls that do so only where they make the file, with the argument that says so before it."""


# New mount interface, pidfd_getfd, process_madvise, mount_setattr, quotactl_fd: one number on every processor.
_DENIED_EVERYWHERE = (428, 429, 430, 431, 432, 433, 438, 440, 442, 443)
# io_uring goes round this filter; clone3 and openat2 hide what they are asked for behind a pointer. Libraries know how
# to do without them.
_ABSENT_EVERYWHERE = (425, 426, 427, 435, 437)

# ptrace, syslog, uselib, ustat, sysfs, vhangup, modify_ldt, pivot_root, _sysctl, adjtimex, chroot, acct, settimeofday,
# mount, umount2, swapon, swapoff, reboot, sethostname, setdomainname, iopl, ioperm, init_module, delete_module,
# quotactl, nfsservctl, lookup_dcookie, clock_settime, kexec_load, add_key, request_key, keyctl, migrate_pages, unshare,
# move_pages, perf_event_open, fanotify_init, name_to_handle_at, open_by_handle_at, clock_adjtime, setns,
# process_vm_readv, process_vm_writev, kcmp, finit_module, kexec_file_load, bpf, userfaultfd.
_X86_64 = _Machine(
    audit=0xC000003E,
    denied=(
        *(101, 103, 134, 136, 139, 153, 154, 155, 156, 159, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173),
        *(175, 176, 179, 180, 212, 227, 246, 248, 249, 250, 256, 272, 279, 298, 300, 303, 304, 305, 308, 310, 311, 312),
        *(313, 320, 321, 323),
        *_DENIED_EVERYWHERE,
    ),
    absent=_ABSENT_EVERYWHERE,
    clone=56,
    ioctl=16,
    socket=41,
    socketpair=53,
    # chmod, fchmod, fchmodat, fchmodat2, creat, mknod, mknodat; open, openat.
    modes=((90, 1), (91, 1), (268, 2), (452, 2), (85, 1), (133, 1), (259, 2)),
    opens=((2, 1, 2), (257, 2, 3)),
)
# The same, as far as this processor has them.
_AARCH64 = _Machine(
    audit=0xC00000B7,
    denied=(
        *(18, 39, 40, 41, 42, 51, 58, 60, 89, 97, 104, 105, 106, 112, 116, 117, 142, 161, 162, 170, 171, 217, 218, 219),
        *(224, 225, 238, 239, 241, 262, 264, 265, 266, 268, 270, 271, 272, 273, 280, 282, 294),
        *_DENIED_EVERYWHERE,
    ),
    absent=_ABSENT_EVERYWHERE,
    clone=220,
    ioctl=29,
    socket=198,
    socketpair=199,
    modes=((52, 1), (53, 2), (452, 2), (33, 2)),
    opens=((56, 2, 3),),
)
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}


def program() -> bytes | None:
    """The filter for this processor in the form of `bwrap --seccomp`, None for a processor that we do not know.

    It denies tracing, kernel keys, mounting, new namespaces, eBPF, io_uring, typing into a terminal (TIOCSTI), and
    sockets other than IP ones, which lead nowhere in an empty network namespace. So a socket of the host that lies in
    a permitted folder cannot be connected to. Nor can a file be given the rights of its owner or group for whoever runs
    it (set-user-ID, set-group-ID), since that would hold outside too. Everything in another processor's calling
    convention is refused.
    """
    machine = _MACHINES.get(platform.machine())
    return None if machine is None else b"".join(_instructions(machine))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | number)


def _argument(index: int) -> bytes:
    """Load the lower half of an argument; both processors are little-endian."""
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * index)


def _block(number: int, *body: bytes) -> list[bytes]:
    """`body`, which must end in a return, for one system call."""
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def _instructions(machine: _Machine) -> list[bytes]:
    allow = _instruction(_RETURN, _ALLOW)
    lines = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_EQUAL, machine.audit, 1, 0),
        _refuse(errno.EPERM),
        _instruction(_LOAD, _NUMBER_AT),
        _instruction(_AT_LEAST, _X32, 0, 1),
        _refuse(errno.ENOSYS),
    ]
    for number in machine.denied:
        lines += _block(number, _refuse(errno.EPERM))
    for number in machine.absent:
        lines += _block(number, _refuse(errno.ENOSYS))
    lines += _block(
        machine.clone, _argument(0), _instruction(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM), allow
    )
    lines += _block(
        machine.ioctl,
        _argument(1),
        _instruction(_EQUAL, _TIOCSTI, 1, 0),
        _instruction(_EQUAL, _TIOCLINUX, 0, 1),
        _refuse(errno.EPERM),
        allow,
    )
    lines += _sockets(machine)
    for number, mode_at in machine.modes:
        lines += _block(number, *_mode_check(mode_at))
    for number, flags_at, mode_at in machine.opens:
        check = _mode_check(mode_at)
        lines += _block(number, _argument(flags_at), _instruction(_ANY_BIT, _CREATES, 1, 0), allow, *check)
    return [*lines, allow]


def _sockets(machine: _Machine) -> list[bytes]:
    allow = _instruction(_RETURN, _ALLOW)
    lines = _block(
        machine.socket,
        _argument(0),
        _instruction(_EQUAL, _AF_INET, 4, 0),
        _instruction(_EQUAL, _AF_INET6, 3, 0),
        _instruction(_EQUAL, _AF_NETLINK, 0, 3),
        _argument(2),
        _instruction(_EQUAL, _NETLINK_ROUTE, 0, 1),
        allow,
        _refuse(errno.EACCES),
    )
    # A datagram pair could be turned to any datagram socket that has a name on the disk.
    lines += _block(
        machine.socketpair,
        _argument(1),
        _instruction(_AND, _TYPE_MASK),
        _instruction(_EQUAL, _SOCK_DGRAM, 0, 1),
        _refuse(errno.EACCES),
        allow,
    )
    return lines


def _mode_check(mode_at: int) -> tuple[bytes, ...]:
    check = _instruction(_ANY_BIT, _SET_ID, 0, 1)
    return (_argument(mode_at), check, _refuse(errno.EPERM), _instruction(_RETURN, _ALLOW))
