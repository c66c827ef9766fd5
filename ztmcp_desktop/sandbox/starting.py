"""The start of a confined process: held before its first instruction until its limits bind."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.sandbox.cgroup import Group
from ztmcp_desktop.sandbox.descriptors import Descriptors, keep_to_ourselves

READY_S = 10.0
STREAM_BYTES = 1024**2
_INFO_BYTES = 4096
# State and parent, after the name of the program (proc_pid_stat(5)).
_STAT_FIELDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """bubblewrap's process, and a descriptor of process 1 of the namespace that it made."""

    process: Process
    init_pidfd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """bubblewrap's path and options, the command to confine, and the control group that is to hold it."""

    program: str
    options: Sequence[str]
    command: Sequence[str]
    group: Group | None


async def spawn(start: Start, descriptors: Descriptors) -> Spawned:
    """Start bubblewrap with its options in a file of memory, so that no secret is in an argument vector.

    bubblewrap tells the number of process 1 (`--info-fd`) and waits (`--block-fd`) until that process is in its
    control group and we hold a descriptor of it.

    Raises:
        Denial: bubblewrap failed (`server-unavailable`); nothing is left of it.
    """
    info_read, info_write = os.pipe()
    gate_read, gate_write = os.pipe()
    process: Process | None = None
    init_pidfd, begun = -1, False
    try:
        descriptors.keep(info_write)
        descriptors.keep(gate_read)
        process = await _run(
            start, (*start.options, "--info-fd", str(info_write), "--block-fd", str(gate_read)), descriptors
        )
        descriptors.close()
        init_pidfd = _hold(await _init_of(info_read), process.pid)
        if start.group is not None:
            start.group.add(_pid_of(init_pidfd))
        os.write(gate_write, b"1")
        begun = True
    except OSError as error:
        raise Denial(Code.SERVER_UNAVAILABLE, f"the sandbox could not be started: {error.strerror}") from error
    finally:
        os.close(info_read)
        os.close(gate_write)
        if not begun:
            await _abandon(process, init_pidfd, start.group)
    return Spawned(process=process, init_pidfd=init_pidfd)


async def _run(start: Start, options: Sequence[str], descriptors: Descriptors) -> Process:
    content = b"".join(os.fsencode(option) + b"\0" for option in options)
    options_file = descriptors.data("options", content)
    keep_to_ourselves()
    return await asyncio.create_subprocess_exec(
        start.program,
        "--args",
        options_file,
        "--",
        *start.command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        pass_fds=descriptors.numbers(),
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        limit=STREAM_BYTES,
    )


async def _init_of(info_read: int) -> int:
    """The number of process 1 inside, as we see it, from what bubblewrap writes about itself."""
    loop = asyncio.get_running_loop()
    os.set_blocking(info_read, False)
    read, done = bytearray(), loop.create_future()

    def more() -> None:
        chunk = os.read(info_read, _INFO_BYTES)
        read.extend(chunk)
        if (not chunk or len(read) > _INFO_BYTES or b"}" in chunk) and not done.done():
            done.set_result(None)

    loop.add_reader(info_read, more)
    try:
        await asyncio.wait_for(done, READY_S)
        number = json.loads(bytes(read))["child-pid"]
    except (TimeoutError, ValueError, KeyError) as error:
        raise Denial(Code.SERVER_UNAVAILABLE, "the sandbox could not be started: bubblewrap did not begin") from error
    finally:
        loop.remove_reader(info_read)
    return int(number)


def _hold(init: int, parent: int) -> int:
    """A descriptor of process `init`, made sure to be bubblewrap's child and not another of the same number."""
    descriptor = os.pidfd_open(init)
    try:
        stat = Path(f"/proc/{init}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        stat = ""
    fields = stat.rpartition(")")[2].split()
    if len(fields) < _STAT_FIELDS or int(fields[1]) != parent:
        os.close(descriptor)
        raise Denial(Code.SERVER_UNAVAILABLE, "the sandbox could not be started: its first process is gone")
    return descriptor


def _pid_of(descriptor: int) -> int:
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise Denial(Code.SERVER_UNAVAILABLE, "the sandbox could not be started: its first process is gone")


async def _abandon(process: Process | None, init_pidfd: int, group: Group | None) -> None:
    if init_pidfd >= 0:
        os.close(init_pidfd)
    if process is not None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    if group is not None:
        group.remove()
