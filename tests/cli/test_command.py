"""The command itself, with a real keychain, a real confined server and a real gateway."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
ZTMCP = [sys.executable, "-m", "ztmcp_desktop"]
TIME = [str(Path(sys.executable).with_name("mcp-server-time")), "--local-timezone", "UTC"]

FORGET = """
import asyncio
from ztmcp_desktop.settings import find_home
from ztmcp_desktop.vault.installation import service_name
from ztmcp_desktop.vault.keychain import open_keychain
from ztmcp_desktop.vault.keys import ENTRY
home = find_home()
if home.state.exists():
    asyncio.run(open_keychain(service_name(home.state)).remove(ENTRY))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """One home and its command."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.port = free_port()
        self.environment = {**os.environ, "ZTMCP_HOME": str(self.home)}
        self.environment.pop("QT_QPA_PLATFORM", None)

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ZTMCP, *words],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def done(self, *words: str, given: str = "") -> str:
        ended = self.run(*words, given=given)
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        return ended.stdout

    def start(self) -> "subprocess.Popen[bytes]":
        said, failed = self.home.with_name("said"), self.home.with_name("failed")
        with said.open("w") as out, failed.open("w") as err:
            process = subprocess.Popen(
                [*ZTMCP, "run", "--headless", "--port", str(self.port)], env=self.environment, stdout=out, stderr=err
            )
        until(lambda: said.read_text().endswith("\n") or process.poll() is not None)
        assert process.poll() is None, failed.read_text()
        assert json.loads(said.read_text()) == {"port": self.port, "pid": process.pid}
        return process

    def call(self, token: str, method: str, params: dict[str, object]) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/s/clock/mcp",
            data=json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": method,
                    "params": {
                        **params,
                        "_meta": {
                            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                            "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
                            "io.modelcontextprotocol/clientCapabilities": {},
                        },
                    },
                }
            ).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": method,
                **({"Mcp-Name": str(params["name"])} if "name" in params else {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def until(what: Callable[[], bool], bound_s: float = 20.0) -> None:
    end_s = time.monotonic() + bound_s
    while not what():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    # The home's keys must not stay behind in the keychain.
    kept = {**machine.environment, "DBUS_SESSION_BUS_ADDRESS": os.environ["DBUS_SESSION_BUS_ADDRESS"]}
    subprocess.run([sys.executable, "-c", FORGET], env=kept, timeout=60, check=True)


@pytest.fixture
def ready(machine: Machine) -> tuple[Machine, str]:
    """A home with an approved server and one client; its token."""
    machine.done("server", "add", "clock", "--", *TIME)
    assert "Approved clock" in machine.done("server", "approve", "clock", "--yes")
    return machine, json.loads(machine.done("client", "add", "tests", "--json"))["token"]


def test_nothing_is_approved_without_a_yes(machine: Machine) -> None:
    machine.done("server", "add", "clock", "--", *TIME)
    assert machine.run("server", "approve", "clock").returncode == 3
    assert json.loads(machine.done("server", "list", "--json"))[0]["approval"] == "proposed"
    assert machine.run("client", "add", "tests").returncode == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["server", "show", "nowhere"], 1),
        (["server", "add", "Bad_name", "--", "true"], 2),
        (["server", "add", "a", "--folder", "/etc", "--", "true"], 2),
        (["server", "add", "a", "--env", "LD_PRELOAD=/x", "--", "true"], 2),
        (["client", "revoke", "nobody"], 1),
        (["client", "add", "a", "--server", "nowhere"], 1),
        (["secret", "remove", "nothing"], 1),
        (["rule", "remove", "nothing"], 1),
        (["audit", "show", "nothing"], 1),
        (["audit", "list", "--since", "yesterday"], 2),
    ],
)
def test_what_cannot_be_done_has_its_status_and_one_line(machine: Machine, words: list[str], status: int) -> None:
    ended = machine.run(*words)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (status, 1), ended.stderr


def test_a_settings_file_that_is_wrong_stops_the_start(machine: Machine) -> None:
    (machine.home / "config").mkdir(parents=True, mode=0o700)
    machine.home.chmod(0o700)
    (machine.home / "config" / "config.toml").write_text("prot = 1\n")
    ended = machine.run("run", "--headless")
    assert ended.returncode == 1
    assert "line 1" in ended.stderr
    assert ended.stdout == ""


def test_without_a_keychain_nothing_starts(machine: Machine) -> None:
    machine.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent"
    ended = machine.run("run", "--headless", "--port", str(machine.port))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "keychain" in ended.stderr.lower()
    assert ended.stdout == ""


def test_without_a_display_the_other_form_is_named(machine: Machine) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        machine.environment.pop(name, None)
    ended = machine.run()
    assert ended.returncode == 1
    assert "run --headless" in ended.stderr


def test_a_taken_port_is_an_error(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        ended = machine.run("run", "--headless", "--port", str(machine.port))
    assert ended.returncode == 1
    assert str(machine.port) in ended.stderr


def test_a_second_gateway_does_not_start(ready: tuple[Machine, str]) -> None:
    machine, _ = ready
    process = machine.start()
    assert machine.run("run", "--headless").returncode == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_call_goes_the_whole_way(ready: tuple[Machine, str], tmp_path: Path) -> None:
    machine, token = ready
    process = machine.start()
    call = ("tools/call", {"name": "get_current_time", "arguments": {"timezone": "UTC"}})
    # Nobody is there to be asked.
    status, body = machine.call(token, *call)
    assert (status, "nobody-there" in body) == (200, True), body
    rule = tmp_path / "unasked.cedar"
    rule.write_text(
        'permit (principal == Client::"tests", action == Action::"call_without_asking", resource in Server::"clock");\n'
    )
    assert machine.done("rule", "add", str(rule)) == "unasked\n"
    status, body = machine.call(token, *call)
    assert (status, "datetime" in body, "nobody-there" in body) == (200, True, False), body
    said = json.loads(machine.done("status", "--json"))
    assert (said["running"], said["port"], said["pid"]) == (True, machine.port, process.pid)
    assert said["servers"] == [{"name": "clock", "approval": "approved", "running": True}]
    machine.done("lock")
    assert "locked-down" in machine.call(token, *call)[1]
    assert json.loads(machine.done("status", "--json"))["servers"][0]["running"] is False
    machine.done("unlock")
    assert "datetime" in machine.call(token, *call)[1]
    machine.done("client", "revoke", "tests")
    assert machine.call(token, *call)[0] == 401
    items = json.loads(machine.done("audit", "list", "--json"))
    assert {"allowed", "denied"} <= {item["outcome"] for item in items}
    assert "holds" in machine.done("audit", "verify")
    assert len(machine.done("audit", "export", "--format", "jsonl").splitlines()) > len(items)
    process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    assert process.wait(10) == 0
    assert time.monotonic() - began_s < 5
    assert "holds" in machine.done("audit", "verify")
    until(lambda: not (machine.home / "run" / "control.sock").exists())


def test_a_bad_row_is_named_in_json_too_and_by_the_doctor(machine: Machine) -> None:
    machine.done("secret", "list")
    machine.done("lock")
    with closing(sqlite3.connect(machine.home / "data" / "ledger.db", isolation_level=None)) as ledger:
        ledger.execute("DROP TRIGGER no_update")
        ledger.execute("UPDATE entries SET subject = 'other' WHERE seq = 1")
    ended = machine.run("audit", "verify", "--json")
    assert (ended.returncode, json.loads(ended.stdout)["bad_seq"]) == (1, 1)
    assert "run ztmcp audit verify" not in machine.run("audit", "verify").stderr
    doctor = json.loads(machine.run("doctor", "--json").stdout)["checks"]
    assert [check["ok"] for check in doctor if check["name"] == "ledger"] == [False]


def test_what_is_empty_says_so(machine: Machine) -> None:
    assert machine.done("audit", "search", "nonsense") == "No entry fits.\n"
    assert machine.done("rule", "check") == "Every rule is fine.\n"


def test_lockdown_survives_a_restart(ready: tuple[Machine, str]) -> None:
    machine, token = ready
    machine.done("lock")
    process = machine.start()
    assert "locked-down" in machine.call(token, "tools/list", {})[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def test_a_frozen_gateway_fails_the_command_within_ten_seconds(ready: tuple[Machine, str]) -> None:
    machine, _ = ready
    process = machine.start()
    process.send_signal(signal.SIGSTOP)
    began_s = time.monotonic()
    ended = machine.run("client", "revoke", "tests")
    assert ended.returncode == 1
    assert time.monotonic() - began_s < 10
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def window(machine: Machine) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([*ZTMCP, "--port", str(machine.port)], env=machine.environment)
    until(lambda: machine.run("status").returncode == 0 or process.poll() is not None, 60)
    assert process.poll() is None
    return process


def test_a_window_whose_port_is_taken_ends_with_1(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        ended = machine.run("--port", str(machine.port))
    assert ended.returncode == 1
    assert str(machine.port) in ended.stderr


def test_a_window_without_a_keychain_ends_with_1(machine: Machine) -> None:
    machine.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent"
    ended = machine.run("--port", str(machine.port))
    assert ended.returncode == 1
    assert "keychain" in ended.stderr.lower()


def test_a_second_start_raises_the_first_window(machine: Machine) -> None:
    process = window(machine)
    assert machine.run("--port", str(machine.port)).returncode == 0
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.attack("C6", "C12")
def test_with_a_window_yes_on_the_command_line_is_no_yes(machine: Machine) -> None:
    machine.done("server", "add", "clock", "--", *TIME)
    process = window(machine)
    approving = subprocess.Popen(
        [*ZTMCP, "server", "approve", "clock", "--yes"],
        env=machine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The window is stopped while it asks: what nobody answers is not approved.
    until(lambda: approving.poll() is not None or _asks(machine), 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert approving.wait(30) != 0
    assert json.loads(machine.done("server", "list", "--json"))[0]["approval"] == "proposed"


def _asks(machine: Machine) -> bool:
    status = machine.run("status", "--json")
    return status.returncode == 0 and json.loads(status.stdout)["open_questions"] > 0
