"""Which process is at the other end: a real one, over a real connection."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fakes import turns_meanwhile
from tests.gateway.front import free_port
from ztmcp_desktop.domain.caller import Attested, Caller, Unknown
from ztmcp_desktop.gateway import attesting, peers, programs, socket_owners
from ztmcp_desktop.gateway.attesting import Attester, portable
from ztmcp_desktop.gateway.peers import Held, Peers
from ztmcp_desktop.gateway.programs import Programs
from ztmcp_desktop.gateway.socket_owners import Ends

CLIENT = "import socket,sys\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\ns.recv(1)"
UNIX_CLIENT = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.recv(1)"
SHARING = (
    "import os,socket,sys\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\ns.set_inheritable(True)\n"
    "os.fork()\ns.send(b'x')\ns.recv(1)"
)
WAIT_S = 20
REAL_PYTHON = os.path.realpath(sys.executable)


class Listener:
    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(WAIT_S)
        self.port = self.listening.getsockname()[1]

    def accepted(self) -> Ends:
        connection, near = self.listening.accept()
        connection.settimeout(WAIT_S)
        self.sockets.append(connection)
        return Ends(near=near, ours=connection.getsockname())

    def close(self) -> None:
        for one in (*self.sockets, self.listening):
            one.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@contextlib.contextmanager
def running(*command: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def caller_of(where: Ends | socket.socket | None) -> Caller:
    return await Peers().caller(Held(where=where))


async def test_the_process_at_the_other_end_is_found_with_its_file_its_owner_and_what_started_it(
    listener: Listener,
) -> None:
    with running(sys.executable, "-c", CLIENT, str(listener.port)) as child:
        found = await caller_of(listener.accepted())

    assert isinstance(found, Attested)
    assert found.pid == child.pid
    assert found.arguments[-1] == str(listener.port)
    assert found.owner == psutil.Process().username()
    assert found.program.path == REAL_PYTHON
    assert found.program.sha256 == hashlib.sha256(Path(REAL_PYTHON).read_bytes()).hexdigest()
    assert (found.program.script, found.program.script_sha256) == ("-c", hashlib.sha256(CLIENT.encode()).hexdigest())
    assert found.parents[0].startswith(REAL_PYTHON)


async def test_of_an_interpreter_the_script_is_part_of_what_the_program_is(listener: Listener, tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    with running(sys.executable, "-u", "-W", "ignore", "client.py", str(listener.port), cwd=tmp_path):
        found = await caller_of(listener.accepted())

    assert isinstance(found, Attested)
    assert found.program.script == str(script)
    assert found.program.script_sha256 == hashlib.sha256(CLIENT.encode()).hexdigest()


async def test_the_table_of_connections_says_the_same_where_the_kernel_does_not_answer(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: bytes) -> bytes:
        raise OSError(93, "no such protocol")

    monkeypatch.setattr(socket_owners, "_ask", refuse)
    with running(sys.executable, "-c", CLIENT, str(listener.port)) as child:
        found = await caller_of(listener.accepted())
    assert isinstance(found, Attested)
    assert found.pid == child.pid


async def test_what_is_portable_says_the_same(listener: Listener) -> None:
    with running(sys.executable, "-c", CLIENT, str(listener.port)) as child:
        ends = listener.accepted()
        found = await asyncio.to_thread(portable, ends, Programs())
        assert isinstance(found, Attested)
        assert found.pid == child.pid
    assert isinstance(await asyncio.to_thread(portable, ends, Programs()), Unknown)


async def test_the_other_end_of_a_unix_connection_is_found(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with running(sys.executable, "-c", UNIX_CLIENT, str(tmp_path / "s")) as child:
            connection, _ = listening.accept()
            with connection:
                found = await caller_of(connection)
    assert isinstance(found, Attested)
    assert found.pid == child.pid
    assert found.via == ""


async def test_a_connection_that_nobody_has_is_unknown() -> None:
    ends = Ends(near=("127.0.0.1", free_port()), ours=("127.0.0.1", free_port()))
    assert await caller_of(ends) == Unknown(why="the connection was closed")
    assert isinstance(await caller_of(None), Unknown)


async def test_a_connection_that_was_closed_is_unknown_whoever_ran_there(listener: Listener) -> None:
    with running(sys.executable, "-c", CLIENT, str(listener.port)):
        ends = listener.accepted()
    assert await caller_of(ends) == Unknown(why="the connection was closed")


@pytest.mark.attack("P14")
async def test_a_connection_that_two_processes_hold_is_nobodys(listener: Listener) -> None:
    with running(sys.executable, "-c", SHARING, str(listener.port), start_new_session=True) as child:
        ends = listener.accepted()
        assert listener.sockets[0].recv(1) + listener.sockets[0].recv(1) == b"xx"
        found = await caller_of(ends)
        os.killpg(child.pid, 9)
    assert found == Unknown(why="several programs hold the connection")


@pytest.mark.attack("P14")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run something as another user")
async def test_a_program_of_another_user_is_unknown(listener: Listener) -> None:
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or "python3"
    with running("setpriv", "--reuid=65534", "--clear-groups", python, "-c", CLIENT, str(listener.port)):
        found = await caller_of(listener.accepted())
    assert found == Unknown(why="no program that may be looked into holds the connection")


@pytest.mark.attack("P14")
async def test_a_socket_that_was_passed_on_while_it_was_looked_at_is_unknown(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends after it was described, and before its hold on the socket is checked again."""
    with running(sys.executable, "-c", CLIENT, str(listener.port)) as child:
        ends = listener.accepted()
        real = Programs.of

        def then_it_ends(self: Programs, pid: int) -> Attested:
            described = real(self, pid)
            child.kill()
            child.wait()
            return described

        monkeypatch.setattr(Programs, "of", then_it_ends)
        found = Attester(Programs()).attest([ends])
    assert found == [Unknown(why="the connection was closed or passed on while it was looked at")]


@pytest.mark.attack("P14")
async def test_a_program_that_becomes_another_one_meanwhile_is_unknown(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = iter([("/usr/bin/a", 1, 1), ("/usr/bin/b", 1, 2)])
    with running(sys.executable, "-c", CLIENT, str(listener.port)):
        ends = listener.accepted()
        monkeypatch.setattr(programs, "running_file", lambda process: next(files))
        found = Attester(Programs()).attest([ends])
    assert found == [Unknown(why="the program changed while it was looked at")]


@pytest.mark.parametrize("error", [psutil.AccessDenied(), OSError()])
async def test_a_system_that_does_not_tell_is_unknown(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(psutil, "Process", refuse)
    with running(sys.executable, "-c", CLIENT, str(listener.port)):
        assert await caller_of(listener.accepted()) == Unknown(why="the program may not be looked into")


async def test_a_program_that_was_replaced_on_disk_keeps_the_hash_of_what_runs(
    listener: Listener, tmp_path: Path
) -> None:
    copy = tmp_path / "python"
    shutil.copy2(REAL_PYTHON, copy)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    with running(str(copy), "-c", CLIENT, str(listener.port), env=environment):
        ends = listener.accepted()
        copy.unlink()
        copy.write_bytes(b"another program")
        found = await caller_of(ends)
    assert isinstance(found, Attested)
    assert found.program.path == str(copy)
    assert found.program.sha256 == hashlib.sha256(Path(REAL_PYTHON).read_bytes()).hexdigest()


async def test_a_connection_is_looked_up_once_and_many_in_one_walk(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    real = attesting.holders
    monkeypatch.setattr(attesting, "holders", lambda *given: walks.append(given) or real(*given))
    looker = Peers()
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(8):
            stack.enter_context(running(sys.executable, "-c", CLIENT, str(listener.port)))
            held.append(Held(where=listener.accepted()))
        found = await asyncio.gather(*(looker.caller(one) for one in held), *(looker.caller(one) for one in held))

    assert all(isinstance(one, Attested) for one in found)
    assert found[:8] == found[8:]
    assert len({one.pid for one in found if isinstance(one, Attested)}) == 8
    assert len(walks) <= 2


async def test_a_look_that_takes_long_holds_up_a_call_for_a_bounded_time_and_not_the_loop(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, real = threading.Event(), Attester.attest

    def late(self: Attester, wheres: list[Any]) -> list[Caller]:
        go.wait(WAIT_S)
        return real(self, wheres)

    monkeypatch.setattr(Attester, "attest", late)
    monkeypatch.setattr(peers, "PATIENCE_S", 0.2)
    with running(sys.executable, "-c", CLIENT, str(listener.port)):
        held, looker = Held(where=listener.accepted()), Peers()
        asked = asyncio.ensure_future(looker.caller(held))
        assert await turns_meanwhile(asked) > 0
        assert asked.result() == Unknown(why="it could not be found out in time")
        go.set()
        async with asyncio.timeout(WAIT_S):
            while isinstance(await looker.caller(held), Unknown):
                continue


RECONNECTING = (
    "import os,socket,sys\n"
    "for _ in range(3):\n s=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n s.recv(1)\n s.close()\n"
    "s=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\ns.set_inheritable(True)\n"
    "os.execv(sys.argv[2],[sys.argv[2],'60'])"
)


async def test_a_process_that_was_found_just_now_is_found_again_without_a_walk_and_only_while_it_is_the_same(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    real = attesting.holders
    monkeypatch.setattr(attesting, "holders", lambda *given: walks.append(given) or real(*given))
    attester = Attester(Programs())
    sleep = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
    with running(sys.executable, "-c", RECONNECTING, str(listener.port), sleep) as child:
        for _ in range(3):
            [found] = attester.attest([listener.accepted()])
            assert isinstance(found, Attested)
            assert (found.pid, found.program.path) == (child.pid, REAL_PYTHON)
            listener.sockets[-1].send(b"x")
        assert len(walks) == 1

        last = listener.accepted()
        async with asyncio.timeout(WAIT_S):
            while os.path.realpath(f"/proc/{child.pid}/exe") != sleep:  # noqa: ASYNC110 - not ours to signal
                await asyncio.sleep(0.005)
        [found] = attester.attest([last])
        assert isinstance(found, Attested)
        assert (found.pid, found.program.path) == (child.pid, sleep)
        assert len(walks) == 2


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.0.0.1", 0))
        made.listen()
        yield made


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_program_that_listens_at_a_port_is_found(listening: socket.socket, host: str) -> None:
    found = await Peers().listener(host, listening.getsockname()[1])
    assert isinstance(found, Attested)
    assert found.pid == os.getpid()
    assert found.program.path == os.path.realpath(sys.executable)


SHARING_LISTENER = (
    "import socket,sys\ns=socket.socket()\ns.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEPORT,1)\n"
    "s.bind(('127.0.0.1',int(sys.argv[1])))\ns.listen()\nprint('listens',flush=True)\nsys.stdin.read()"
)


@pytest.fixture
def also_listening(listening: socket.socket) -> Iterator[None]:
    command = [sys.executable, "-c", SHARING_LISTENER, str(listening.getsockname()[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "listens\n"
        yield
        other.stdin.close()


@pytest.mark.usefixtures("also_listening")
async def test_where_more_than_one_listens_it_says_so(listening: socket.socket) -> None:
    assert isinstance(await Peers().listener("127.0.0.1", listening.getsockname()[1]), Unknown)


async def test_where_nobody_listens_it_says_so(listening: socket.socket) -> None:
    assert isinstance(await Peers().listener("::1", listening.getsockname()[1]), Unknown)
    assert isinstance(await Peers().listener("127.0.0.1", free_port()), Unknown)
