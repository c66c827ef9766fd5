"""When something breaks, the answer is no, nothing was sent, and the ledger holds."""

import concurrent.futures
import contextlib
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.journeys.screen import press, wait_for_dialog, wait_for_no_dialog
from tests.journeys.stage import RawClient, Stage, denied, until

pytestmark = [pytest.mark.screen, pytest.mark.timeout(240)]
SLOW = Path(__file__).with_name("slow_server.py")
FROZEN = Path(__file__).with_name("frozen_window.py")
WHAT = 'principal == Client::"tests", action == Action::"call_without_asking", resource in Server::"slow"'
ALLOW = f"permit ({WHAT});\n"


def prepare(stage: Stage, settings: str = "", *, allow: bool = False) -> str:
    """A home with the slow server behind it; gives the client's token."""
    stage.settings(settings)
    stage.add_server("slow", sys.executable, str(SLOW), str(stage.project), folders=(f"{stage.project}:rw",))
    if allow:
        rule = stage.root / "allow.cedar"
        rule.write_text(ALLOW)
        stage.cli("rule", "add", str(rule))
    return stage.add_client()


def client(stage: Stage, token: str) -> RawClient:
    return RawClient(stage.endpoint("slow"), token).open()


def in_background(work: Callable[[], Any]) -> "concurrent.futures.Future[Any]":
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def sent(stage: Stage, tool: str = "note") -> bool:
    """Whether the server was ever told."""
    return (stage.project / tool).exists()


@pytest.mark.attack("C8")
def test_nobody_answers(stage: Stage) -> None:
    token = prepare(stage, "patience_s = 2\n")
    stage.start()
    assert denied(client(stage, token).call("note", text="x")) == "no-answer"
    assert not sent(stage)
    stage.stop()
    stage.verify()


@pytest.mark.attack("C12")
def test_nobody_is_there(stage: Stage) -> None:
    token = prepare(stage)
    stage.start(headless=True)
    assert denied(client(stage, token).call("note", text="x")) == "nobody-there"
    assert not sent(stage)
    stage.stop()
    stage.verify()


@pytest.mark.attack("C12")
def test_the_windows_thread_stands_still(stage: Stage) -> None:
    token = prepare(stage)
    stage.start(sys.executable, str(FROZEN))
    raw = client(stage, token)
    waiting = in_background(lambda: raw.call("note", text="x"))
    wait_for_dialog()
    assert stage.process is not None
    stage.process.send_signal(signal.SIGUSR1)
    assert denied(waiting.result(60)) == "nobody-there"
    assert not sent(stage)
    wait_for_no_dialog()
    stage.stop()
    stage.verify()


@pytest.mark.attack("C12")
def test_a_click_that_was_queued_while_the_process_stood_still_is_a_no(stage: Stage) -> None:
    token = prepare(stage, "patience_s = 4\n")
    stage.start()
    raw = client(stage, token)
    waiting = in_background(lambda: raw.call("note", text="x"))
    window = wait_for_dialog()
    assert stage.process is not None
    process = psutil.Process(stage.process.pid)
    stopped_at = process.cpu_times()
    until(lambda: process.cpu_times() != stopped_at, 5)
    stage.process.send_signal(signal.SIGSTOP)
    until(lambda: process.status() == psutil.STATUS_STOPPED, 5)
    press(window, "alt+a")
    with pytest.raises(concurrent.futures.TimeoutError):
        waiting.result(5)
    stage.process.send_signal(signal.SIGCONT)
    assert denied(waiting.result(60)) in {"no-answer", "nobody-there"}
    assert not sent(stage)
    stage.stop()
    stage.verify()


@pytest.mark.attack("C12")
def test_the_keychain_is_locked(stage: Stage) -> None:
    """Runs in a session of its own, since nobody can unlock the keyring again without its password."""
    script = Path(__file__).with_name("locked_keychain.py")
    wrapper = Path(__file__).parents[2] / "packaging" / "with-keychain"
    done = subprocess.run(
        [str(wrapper), sys.executable, str(script), str(stage.root / "inner")],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """The ledger's folder on a disk of its own of 4 MiB."""
    folder = stage.home / "data"
    folder.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)], check=True)
    yield folder
    stage.stop(signal.SIGKILL)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.attack("C12")
def test_the_disk_is_full(stage: Stage, small_disk: Path) -> None:
    token = prepare(stage, allow=True)
    stage.start(headless=True)
    raw = client(stage, token)
    assert denied(raw.call("note", text="first")) is None
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    codes = [denied(raw.call("note", text=f"full {number}")) for number in range(60)]
    assert "gateway-fault" in codes
    refused = codes.index("gateway-fault")
    filler.unlink()
    assert denied(raw.call("note", text="space again")) is None
    told = (stage.project / "note").read_text().splitlines()
    assert told == ["first", *(f"full {n}" for n, code in enumerate(codes) if code is None), "space again"]
    assert f"full {refused}" not in told
    stage.stop()
    stage.verify()


def test_the_server_is_killed_in_mid_call(stage: Stage) -> None:
    token = prepare(stage, allow=True)
    stage.start(headless=True)
    raw = client(stage, token)
    waiting = in_background(lambda: raw.call("wait", text="x"))
    until(lambda: sent(stage, "wait"))
    for process in of_server():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert denied(waiting.result(30)) == "server-unavailable"
    assert denied(raw.call("note", text="again")) is None
    stage.stop()
    stage.verify()
    assert stage.endings("wait") == [("failed", "server-unavailable")]


def of_server() -> list[psutil.Process]:
    """The processes of the slow server, as the system lists them outside the sandbox."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(SLOW) in process.cmdline() and "server" not in process.cmdline():
                found.append(process)
    return found


def test_ztmcp_is_killed_in_mid_call(stage: Stage) -> None:
    token = prepare(stage, allow=True)
    stage.start(headless=True)
    raw = client(stage, token)
    waiting = in_background(lambda: raw.call("wait", text="x"))
    until(lambda: sent(stage, "wait"))
    assert of_server()
    stage.stop(signal.SIGKILL)
    with pytest.raises((urllib.error.URLError, OSError, StopIteration, ValueError, ConnectionError)):
        waiting.result(30)
    until(lambda: not of_server(), 10, "the server outlived the gateway")
    stage.start(headless=True)
    assert stage.endings("wait") == [("failed", "interrupted")]
    stage.stop()
    stage.verify()


@pytest.mark.attack("C13")
def test_lockdown_stops_a_call_and_outlives_a_restart(stage: Stage) -> None:
    token = prepare(stage, allow=True)
    stage.start(headless=True)
    raw = client(stage, token)
    waiting = in_background(lambda: raw.call("wait", text="x"))
    until(lambda: sent(stage, "wait"))
    stage.cli("lock")
    assert denied(waiting.result(30)) == "locked-down"
    until(lambda: not of_server(), 5, "the server outlived the lock")
    stage.stop()
    stage.start(headless=True)
    with contextlib.suppress(KeyError, urllib.error.HTTPError):
        assert denied(client(stage, token).call("note", text="x")) == "locked-down"
    assert not sent(stage)
    stage.cli("unlock")
    assert denied(client(stage, token).call("note", text="x")) is None
    stage.stop()
    stage.verify()
    assert sent(stage)
