"""The filter of system calls, on the kernel itself: each is tried inside, by its number."""

import asyncio
import errno
import platform
from pathlib import Path

import pytest

from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import Launch
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.sandbox import seccomp
from ztmcp_desktop.sandbox.bubblewrap import Bubblewrap

READ_S = 20
AT_FDCWD, CREATE = -100, 0o100 | 1
# Numbers of x86-64 with arguments that would succeed, or fail otherwise, without the filter.
CALLS = {
    "ptrace (PTRACE_TRACEME)": ((101, 0, 0, 0, 0), errno.EPERM),
    "unshare (user)": ((272, 0x10000000), errno.EPERM),
    "clone (new network)": ((56, 0x40000000 | 17, 0, 0, 0, 0), errno.EPERM),
    "clone3": ((435, 0, 0), errno.ENOSYS),
    "setns": ((308, -1, 0), errno.EPERM),
    "keyctl (session keyring)": ((250, 0, -3, 1), errno.EPERM),
    "bpf": ((321, 0, 0, 0), errno.EPERM),
    "perf_event_open": ((298, 0, 0, 0, 0, 0), errno.EPERM),
    "userfaultfd": ((323, 0), errno.EPERM),
    "io_uring_setup": ((425, 1, 0), errno.ENOSYS),
    "process_vm_readv": ((310, 1, 0, 0, 0, 0, 0), errno.EPERM),
    "pidfd_getfd": ((438, -1, 0, 0), errno.EPERM),
    "ioctl TIOCSTI": ((16, 0, 0x5412, 0), errno.EPERM),
    "ioctl TIOCSTI with high bits": ((16, 0, 0x1_0000_5412, 0), errno.EPERM),
    "socket (unix)": ((41, 1, 1, 0), errno.EACCES),
    "socket (packet)": ((41, 17, 3, 0), errno.EACCES),
    "socket (netlink, audit)": ((41, 16, 3, 9), errno.EACCES),
    "socketpair (unix datagram)": ((53, 1, 2, 0, 0), errno.EACCES),
    "openat2": ((437, -1, 0, 0, 0), errno.ENOSYS),
    "fchmod (set-user-ID)": ((91, 1, 0o4755), errno.EPERM),
    "fchmod (set-group-ID)": ((91, 1, 0o2755), errno.EPERM),
    "chmod (set-user-ID)": ((90, 0, 0o4755), errno.EPERM),
    "fchmodat (set-user-ID)": ((268, AT_FDCWD, 0, 0o4755), errno.EPERM),
    "fchmodat2 (set-user-ID)": ((452, AT_FDCWD, 0, 0o4755, 0), errno.EPERM),
    "creat (set-user-ID)": ((85, 0, 0o4755), errno.EPERM),
    "open (creates, set-user-ID)": ((2, 0, CREATE, 0o4755), errno.EPERM),
    "openat (creates, set-user-ID)": ((257, AT_FDCWD, 0, CREATE, 0o4755), errno.EPERM),
    "openat (nameless, set-user-ID)": ((257, AT_FDCWD, 0, 0o20200000 | 1, 0o4755), errno.EPERM),
    "mknodat (set-user-ID)": ((259, AT_FDCWD, 0, 0o104755, 0), errno.EPERM),
    "openat (opens; the mode is left over)": ((257, AT_FDCWD, 0, 0, 0o4755), errno.EFAULT),
    "fchmod (plain)": ((91, -1, 0o755), errno.EBADF),
    "getpid by the x32 convention": ((0x40000000 + 39,), errno.ENOSYS),
}


async def answers(calls: list[tuple[int, ...]], home: Path) -> list[int]:
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"for call in {calls!r}:\n"
        " ctypes.set_errno(0)\n"
        " r = libc.syscall(*[ctypes.c_long(n) for n in call])\n"
        " print(ctypes.get_errno() if r == -1 else 0, flush=True)\n"
    )
    child = await Bubblewrap((), home).start(
        Launch(
            server=ServerName("hostile"),
            runtime=Runtime(argv=("/usr/bin/python3", "-I", "-c", code)),
            limits=Limits(),
            env=Sealed({}),
        )
    )
    try:
        out = await asyncio.wait_for(child.stdout.read(), READ_S)
    finally:
        await child.kill()
    return [int(line) for line in out.split()]


@pytest.mark.attack("P7", "P6")
async def test_calls_that_break_out_are_refused(tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.fail("the numbers of this test are those of x86-64")
    found = await answers([call for call, _ in CALLS.values()], tmp_path)
    assert dict(zip(CALLS, found, strict=True)) == {name: expected for name, (_, expected) in CALLS.items()}


async def test_what_servers_need_is_let_through(tmp_path: Path) -> None:
    inet, netlink, getpid = (41, 2, 1, 0), (41, 16, 3, 0), (39,)
    assert await answers([inet, netlink, getpid], tmp_path) == [0, 0, 0]


def test_an_unknown_processor_has_no_filter_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.program() is None
    assert any("System calls are not filtered" in line for line in Bubblewrap((), tmp_path).report().missing)
