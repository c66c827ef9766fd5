"""A hostile server's attempts: one a run, told as one line of JSON. Needs nothing but Python's own library."""

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import pty
import resource
import signal
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
BLOCK = 1024**2
HOLD_S = 30


def checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")


def listing(path: str) -> list[str]:
    return sorted(os.listdir(path))  # noqa: PTH208 - names only


def write(path: str) -> str:
    Path(path).write_text("owned", encoding="utf-8")
    return "written"


def open_for_writing(path: str) -> str:
    os.close(os.open(path, os.O_WRONLY))
    return "opened"


def delete(path: str) -> str:
    Path(path).unlink()
    return "deleted"


def move(path: str, target: str) -> str:
    Path(path).rename(target)
    return "moved"


def make_mode_open(path: str) -> str:
    Path(path).chmod(0o777)
    return "changed"


def link_then_write(path: str, name: str) -> str:
    """Write to a file under a second name: a cover that hides a name alone would be gone round."""
    Path(name).hardlink_to(path)
    return write(name)


def link_then_read(path: str, name: str) -> str:
    Path(name).symlink_to(path)
    return read(name)


def device(path: str) -> str:
    """A device of one's own for the first disk."""
    os.mknod(path, 0o600 | 0o060000, os.makedev(8, 0))
    os.close(os.open(path, os.O_RDONLY))
    return "made"


def connect(kind: str, *address: str) -> str:
    kinds = {
        "tcp": (socket.AF_INET, socket.SOCK_STREAM),
        "udp": (socket.AF_INET, socket.SOCK_DGRAM),
        "tcp6": (socket.AF_INET6, socket.SOCK_STREAM),
        "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
        "unix-datagram": (socket.AF_UNIX, socket.SOCK_DGRAM),
        "abstract": (socket.AF_UNIX, socket.SOCK_STREAM),
    }
    with socket.socket(*kinds[kind]) as out:
        out.settimeout(2)
        if kind == "abstract":
            out.connect("\0" + address[0])
        else:
            out.connect(address[0] if kind.startswith("unix") else (address[0], int(address[1])))
        out.sendall(b"out")
    return "sent"


def pair_turned(path: str) -> str:
    """A pair of datagram sockets needs no name; one of its ends can be turned to a socket that has one."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"out", path)
    return "sent"


def interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def resolve(name: str) -> str:
    return str(socket.getaddrinfo(name, 80)[0][4])


def trace(pid: str) -> str:
    checked(LIBC.ptrace(PTRACE_SEIZE, int(pid), 0, 0))
    return "traced"


def trace_child() -> str:
    child = os.fork()
    if child == 0:
        time.sleep(HOLD_S)
        os._exit(0)
    try:
        return trace(str(child))
    finally:
        os.kill(child, signal.SIGKILL)


def end(pid: str) -> str:
    os.kill(int(pid), signal.SIGTERM)
    return "ended"


def seen() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names only


def search_processes(word: str) -> list[str]:
    """Where `word` is in the environment or the arguments of a process that is not this one."""
    found = []
    for pid in seen():
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                if pid != os.getpid() and word.encode() in Path(f"/proc/{pid}/{name}").read_bytes():
                    found.append(f"{pid} {name}")
    return found


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def about() -> dict[str, object]:
    """What it was given: variables, descriptors, rights, limits."""
    descriptors = []
    for number in range(256):
        with contextlib.suppress(OSError):
            os.fstat(number)
            descriptors.append(number)
    held = status()
    return {
        "environment": sorted(os.environ),
        "descriptors": descriptors,
        "rights": {name: int(held[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privileges": held["NoNewPrivs"],
        "filter": held["Seccomp"],
        "session": os.getsid(0),
        "devices": listing("/dev"),
        "secret": os.environ.get("TOKEN"),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "stands_in": str(Path.cwd()),
        "hostname": socket.gethostname(),
    }


def call(name: str) -> str:  # noqa: C901 - one case a call
    """One system call that no server needs."""
    nothing = ctypes.c_long(0)
    unshare, namespaces = LIBC.unshare, {"user": 0x10000000, "mount": 0x00020000, "network": 0x40000000}
    match name.split("-"):
        case ["namespace", which]:
            checked(unshare(namespaces[which]))
        case ["mount"]:
            checked(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None))
        case ["unmount"]:
            checked(LIBC.umount2(b"/tmp", 2))
        case ["remount"]:
            checked(LIBC.mount(None, b"/", None, 32 | 4096, None))
        case ["chroot"]:
            os.chroot("/tmp")
        case ["keys"]:
            checked(LIBC.syscall(_number("add_key"), b"user", b"ztmcp-canary", b"x", 1, -4))
        case ["bpf"]:
            checked(LIBC.syscall(_number("bpf"), 0, nothing, 0))
        case ["hostname"]:
            socket.sethostname("owned")
        case ["handle"]:
            checked(LIBC.syscall(_number("open_by_handle_at"), 3, nothing, 0))
        case ["uring"]:
            checked(LIBC.syscall(425, 4, ctypes.create_string_buffer(256)))
        case ["type"]:
            _, terminal = pty.openpty()
            fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
        case _:
            raise SystemExit(f"{name} is no attempt")
    return "done"


def _number(name: str) -> int:
    numbers = {
        "x86_64": {"add_key": 248, "bpf": 321, "open_by_handle_at": 304},
        "aarch64": {"add_key": 217, "bpf": 280, "open_by_handle_at": 265},
    }
    return numbers[os.uname().machine][name]


def multiply(kind: str, most: str) -> int:
    """How many processes or threads there were when no more could be had."""
    count, end_of_it = 0, threading.Event()
    children: list[int] = []
    try:
        while count < int(most):
            if kind == "processes":
                child = os.fork()
                if child == 0:
                    time.sleep(HOLD_S)
                    os._exit(0)
                children.append(child)
            else:
                threading.Thread(target=end_of_it.wait, args=(HOLD_S,), daemon=True).start()
            count += 1
    except (OSError, RuntimeError):
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
    end_of_it.set()
    return count


def take(kind: str, most: str) -> int:
    """How many MiB of memory it got, each page of them touched; told as it goes, for it may not live to tell."""
    held: list[object] = []
    got = 0
    while got < int(most):
        if kind == "own":
            held.append(bytearray(b"x" * BLOCK))
        else:
            block = mmap.mmap(-1, BLOCK)
            block.write(b"x" * BLOCK)
            held.append(block)
        got += 1
        os.write(2, b".")
    return got


def take_together(children: str, each: str) -> int:
    """The same in several processes at once; how many of them got all."""
    running, pipe = [], os.pipe()
    for _ in range(int(children)):
        child = os.fork()
        if child == 0:
            held = bytearray(b"x" * (int(each) * BLOCK))
            os.write(pipe[1], b"x")
            time.sleep(HOLD_S)
            os._exit(len(held) & 0)
        running.append(child)
    os.close(pipe[1])
    finished = 0
    os.set_blocking(pipe[0], False)
    until = time.monotonic() + 8
    left = set(running)
    while time.monotonic() < until and left and finished < len(left):
        with contextlib.suppress(BlockingIOError):
            finished += len(os.read(pipe[0], 64))
        left -= {child for child in left if os.waitpid(child, os.WNOHANG)[0]}
        time.sleep(0.02)
    got = len(left) if finished >= len(running) else min(finished, len(left))
    for child in left:
        os.kill(child, signal.SIGKILL)
    return got


def open_many(most: str) -> int:
    held: list[int] = []
    with contextlib.suppress(OSError):
        while len(held) < int(most):
            held.append(os.open("/usr", os.O_RDONLY))
    return len(held)


def raise_limit() -> str:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
    return "raised"


def fill(path: str, most: str) -> int:
    """How many MiB of a place could be filled."""
    written = 0
    with contextlib.suppress(OSError), Path(path).open("wb", buffering=0) as file:
        while written < int(most):
            written += file.write(b"x" * BLOCK) // BLOCK
    Path(path).unlink()
    return written


def linger(beat: str, then: str) -> str:
    """Leave a process behind that is in no session of ours, hears no signal, and beats into a file."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            _beat(Path(beat), write_end)
        os._exit(0)
    os.read(read_end, 1)
    if then == "stay":
        sys.stdout.write("lingering\n")
        sys.stdout.flush()
        time.sleep(HOLD_S)
    return "left"


def _beat(path: Path, ready: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    until = time.monotonic() + HOLD_S
    first = True
    while time.monotonic() < until:
        with path.open("a", encoding="ascii") as file:
            file.write("x")
        if first:
            os.write(ready, b"x")
            first = False
        time.sleep(0.01)
    os._exit(0)


def by_a_descendant(how: str, attempt: str, *words: str) -> object:
    """The same, tried by a thread or a grandchild."""
    told: list[object] = []
    if how == "thread":
        thread = threading.Thread(target=lambda: told.append(outcome(attempt, words)))
        thread.start()
        thread.join()
        return told[0]
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write_end, json.dumps(outcome(attempt, words)).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        return json.loads(answer.read())


def stay(*_: str) -> str:
    sys.stdout.write("staying\n")
    sys.stdout.flush()
    sys.stdin.read()
    return "stayed"


ATTEMPTS: dict[str, Callable[..., object]] = {
    function.__name__: function
    for function in (
        *(about, by_a_descendant, call, connect, delete, device, end, fill, interfaces, linger, link_then_read),
        *(link_then_write, listing, make_mode_open, move, multiply, open_for_writing, open_many, pair_turned),
        *(raise_limit, read, resolve, search_processes, seen, stay, take, take_together, trace, trace_child, write),
    )
}


def outcome(attempt: str, words: tuple[str, ...]) -> dict[str, object]:
    """`{"got": …}` where it succeeded, `{"failed": the error's name}` where it was prevented."""
    try:
        return {"got": ATTEMPTS[attempt](*words)}
    except MemoryError:
        return {"failed": "ENOMEM"}
    except ValueError as error:
        return {"failed": str(error)}
    except OSError as error:
        return {"failed": errno.errorcode.get(error.errno or 0, str(error))}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(outcome(sys.argv[1], tuple(sys.argv[2:]))) + "\n")
