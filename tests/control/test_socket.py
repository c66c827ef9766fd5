import asyncio
import json
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ztmcp_desktop.control.socket import MAX_LINE_BYTES, ControlSocket
from ztmcp_desktop.control.socket_client import NoGateway, ask_gateway
from ztmcp_desktop.control.socket_path import CONTROL, opened_folder, short_path
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.settings import Home


class OnePlane:
    """Knows `echo`, `refuse`, `fail` and `wait`."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.cancelled = asyncio.Event()

    async def ask(self, verb: str, arguments: JsonObject) -> JsonObject:
        self.seen.append(verb)
        match verb:
            case "echo":
                return arguments
            case "fail":
                raise RuntimeError(str(arguments))
            case "wait":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
        raise Denial(Code.REFUSED_BY_PERSON, "no")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    # Longer than an address may be.
    base = tmp_path / ("x" * 60) / ("y" * 60)
    base.mkdir(parents=True)
    home = Home(config=base, data=base, state=base, run=base / "run", logs=base)
    home.run.mkdir(mode=0o700)
    return home


@pytest.fixture
async def plane(home: Home) -> AsyncIterator[OnePlane]:
    plane = OnePlane()
    server = ControlSocket(home, plane)
    await server.start()
    yield plane
    await server.stop()
    assert not (home.run / CONTROL).exists()


async def ask(home: Home, verb: str, arguments: JsonObject | None = None) -> JsonObject:
    return await asyncio.to_thread(ask_gateway, home, verb, arguments or {})


async def raw(home: Home, line: bytes) -> list[JsonObject]:
    with opened_folder(home.run) as folder:
        reader, writer = await asyncio.open_unix_connection(short_path(home.run, folder, CONTROL), limit=MAX_LINE_BYTES)
    writer.write(line)
    writer.write_eof()
    answers = [json.loads(answer) async for answer in reader]
    writer.close()
    return answers


async def test_without_a_gateway_there_is_none(home: Home) -> None:
    with pytest.raises(NoGateway):
        await ask(home, "echo")


async def test_a_socket_that_nobody_serves_is_no_gateway(home: Home) -> None:
    with opened_folder(home.run) as folder, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(short_path(home.run, folder, CONTROL))
    with pytest.raises(NoGateway):
        await ask(home, "echo")


async def test_a_refusal_comes_back_with_its_code(home: Home, plane: OnePlane) -> None:
    with pytest.raises(Denial, match="no") as refused:
        await ask(home, "refuse")
    assert refused.value.code is Code.REFUSED_BY_PERSON


@pytest.mark.allow_log("the verb fail failed: RuntimeError")
async def test_a_fault_says_nothing_of_the_arguments(home: Home, plane: OnePlane) -> None:
    with pytest.raises(Denial, match="RuntimeError") as refused:
        await ask(home, "fail", {"value": "hunter2"})
    assert "hunter2" not in refused.value.reason


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense\n", b'{"verb": "echo"}\n', b'{"verb": "echo", "arguments": {}}', b"[]\n", b"[" * 200_000 + b"\n"],
)
async def test_what_is_no_request_reaches_no_verb(home: Home, plane: OnePlane, line: bytes) -> None:
    answers = await raw(home, line)
    assert answers[1]["error"]["code"] == "schema-mismatch"
    assert plane.seen == []


@pytest.mark.attack("N8")
async def test_an_endless_line_is_cut_off(home: Home, plane: OnePlane) -> None:
    try:
        answers = await raw(home, b"x" * (3 * MAX_LINE_BYTES))
    except ConnectionError:
        answers = []
    assert all("result" not in answer for answer in answers)
    assert plane.seen == []


async def test_an_answer_comes_back_whole(home: Home, plane: OnePlane) -> None:
    asked = {"text": "é\n" * 100_000, "number": 2**60}
    assert await ask(home, "echo", asked) == asked


async def test_whoever_asks_and_goes_away_waits_no_longer(home: Home, plane: OnePlane) -> None:
    await raw(home, b'{"verb": "wait", "arguments": {}}\n')
    await asyncio.wait_for(plane.cancelled.wait(), 5)


@pytest.mark.attack("N11")
@pytest.mark.parametrize("what", ["link", "file"])
async def test_what_is_no_socket_is_neither_used_nor_removed(home: Home, tmp_path: Path, what: str) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    if what == "link":
        (home.run / CONTROL).symlink_to(target)
    else:
        (home.run / CONTROL).write_text("kept")
    with pytest.raises(Denial, match="no socket"):
        await ControlSocket(home, OnePlane()).start()
    with pytest.raises(Denial, match="no socket"):
        await ask(home, "echo")
    assert target.read_text() == "kept"
    assert (home.run / CONTROL).exists()


@pytest.mark.attack("N11")
async def test_a_folder_that_others_reach_is_refused(home: Home) -> None:
    home.run.chmod(0o755)
    with pytest.raises(Denial, match="chmod 700"):
        await ControlSocket(home, OnePlane()).start()
    with pytest.raises(Denial, match="chmod 700"):
        await ask(home, "echo")


@pytest.mark.attack("N11")
async def test_a_link_in_the_place_of_the_folder_is_refused(home: Home, tmp_path: Path) -> None:
    home.run.rename(tmp_path / "moved")
    home.run.symlink_to(tmp_path / "moved")
    with pytest.raises(Denial, match="link"):
        await ControlSocket(home, OnePlane()).start()


@pytest.mark.attack("C6")
async def test_another_user_gets_no_answer(home: Home, plane: OnePlane) -> None:
    code = (
        "import os, socket, sys\n"
        "folder = os.open(sys.argv[1], os.O_RDONLY)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    s.connect(f'/proc/self/fd/{folder}/control.sock')\n"
        "    print(s.recv(100))\n"
        "except OSError:\n"
        "    print(b'')\n"
    )

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(home.run), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out == b"b''\n"
    assert plane.seen == []


async def test_the_socket_is_for_its_owner_only(home: Home, plane: OnePlane) -> None:
    found = (home.run / CONTROL).lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
