"""`ztmcp demo`: a throw-away home, a real confined server, and a client that makes calls worth asking about."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ztmcp_desktop.control.resources import resource
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.vault.installation import service_name
from ztmcp_desktop.vault.keychain import open_keychain
from ztmcp_desktop.vault.keys import ENTRY

START_S = 40.0
STOP_S = 10.0
STEP_S = 60.0
MAX_TEXT = 300
# The step that shows a changed description must come whatever the person answers before it.
RULE = """permit (
    principal == Client::"example",
    action == Action::"call_without_asking",
    resource == Tool::"demo/forecast"
);
"""
_ENDING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    root: Path
    port: int

    @property
    def notes(self) -> Path:
        return self.root / "notes"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "ZTMCP_HOME": str(self.root / "home")}

    def run(self, *arguments: str) -> str:
        """What `ztmcp ARGUMENTS` prints.

        Raises:
            Failure: it exits with another status than 0.
        """
        done = subprocess.run(  # noqa: S603 - our own command
            [*_ztmcp(), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_S,
            check=False,
        )
        if done.returncode != 0:
            raise Failure(done.stderr.strip() or f"ztmcp {arguments[0]} failed")
        return done.stdout


class Failure(Exception):  # noqa: N818 - one line for the person
    """The demo cannot go on; the text says why."""


class _Ended(BaseException):
    """A signal ends the demo; not an `Exception`, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run() -> int:
    """Run the demo; the exit status is 0 when it ran through, whatever was answered, and 128 + N after signal N."""
    before = {number: signal.signal(number, _end) for number in _ENDING}
    try:
        with tempfile.TemporaryDirectory(prefix="ztmcp-demo-") as folder:
            return _run_in(_Stage(root=Path(folder).resolve(), port=_free_port()))
    except _Ended as ended:
        print("\nthe demo was ended; its gateway, its home and its keys are gone", file=sys.stderr)
        return 128 + ended.number
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_in(stage: _Stage) -> int:
    try:
        return _play(stage)
    except (Failure, Denial, subprocess.TimeoutExpired) as failure:
        print(f"the demo stopped: {failure}", file=sys.stderr)
        return 1
    finally:
        _hear_no_more()
        _forget_keys(stage)


def _end(number: int, _frame: FrameType | None) -> None:
    _hear_no_more()
    raise _Ended(number)


def _hear_no_more() -> None:
    """What cleans up is not interrupted: a second signal does nothing."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _play(stage: _Stage) -> int:
    has_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    print(f"A throw-away home: {stage.root}")
    token = _prepare(stage)
    print("Where you answer: " + ("in the window" if has_screen else "here, with y or n; anything else is no"))
    with _gateway(stage, has_screen=has_screen):
        calls = _example_client(stage, token)
    _summary(stage, calls)
    return 0


def _prepare(stage: _Stage) -> str:
    """A home with the demo server approved and the example client's token."""
    stage.notes.mkdir()
    (stage.notes / "todo.md").write_text("- try ztmcp\n- mail ada@lovelace.example\n", encoding="utf-8")
    config = stage.root / "home" / "config"
    config.mkdir(parents=True, mode=0o700)
    (stage.root / "home").chmod(0o700)
    settings = config / "config.toml"
    settings.write_text('headless_desk = "terminal"\n', encoding="utf-8")
    settings.chmod(0o600)
    server = str(resource("demo/server.py"))
    command = [sys.executable, server, str(stage.notes)]
    stage.run("server", "add", "demo", "--folder", f"{stage.notes}:rw", "--", *command)
    stage.run("server", "approve", "demo", "--yes")
    rule = stage.root / "weather.cedar"
    rule.write_text(RULE, encoding="utf-8")
    stage.run("rule", "add", str(rule))
    return str(json.loads(stage.run("client", "add", "example", "--server", "demo", "--json"))["token"])


@contextmanager
def _gateway(stage: _Stage, *, has_screen: bool) -> Iterator[None]:
    """The gateway, running until the end of the block."""
    form = [] if has_screen else ["run", "--headless"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*_ztmcp(), *form, "--port", str(stage.port)], env=stage.environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(stage, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(stage: _Stage, process: "subprocess.Popen[bytes]") -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{stage.port}/healthz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise Failure("the gateway did not start")


def _example_client(stage: _Stage, token: str) -> list[dict[str, str | None]]:
    """Run the client, tell what it got line by line, and give all of it."""
    script = str(resource("demo/client.py"))
    endpoint = f"http://127.0.0.1:{stage.port}/s/demo/mcp"
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, script, endpoint, str(stage.notes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Not of the terminal's group: Ctrl-C is for the demo, which ends the client.
        start_new_session=True,
    )
    try:
        return _told(process, token)
    finally:
        process.kill()
        process.wait()


def _told(process: "subprocess.Popen[str]", token: str) -> list[dict[str, str | None]]:
    if process.stdin is None or process.stdout is None:
        raise Failure("the example client has no pipes")
    process.stdin.write(token + "\n")
    process.stdin.close()
    calls: list[dict[str, str | None]] = []
    for line in process.stdout:
        call = json.loads(line)
        calls.append(call)
        said = visible(str(call["text"]))[:MAX_TEXT].replace("\n", "\n    ")
        print(f"\n{call['title']}  ({call['code'] or 'allowed'})\n    {said}", flush=True)
    if process.wait() != 0:
        raise Failure("the example client failed")
    return calls


def _summary(stage: _Stage, calls: list[dict[str, str | None]]) -> None:
    allowed = [str(call["title"]) for call in calls if not call["code"]]
    refused = [f"{call['title']} ({call['code']})" for call in calls if call["code"]]
    masked = sorted({word for call in calls for word in _stand_ins(str(call["text"]))})
    print("\nAllowed: " + (", ".join(allowed) or "nothing"))
    print("Masked:  " + (", ".join(masked) or "nothing"))
    print("Refused: " + (", ".join(refused) or "nothing"))
    print("Ledger:  " + stage.run("audit", "verify").strip())


def _stand_ins(text: str) -> list[str]:
    return re.findall(r"<[A-Z_]+_\d+>", text)


def _forget_keys(stage: _Stage) -> None:
    """Remove the demo's keys from the keychain; what cannot be removed is said."""
    state = stage.root / "home" / "state"
    if not (state / "installation").exists():
        return
    try:
        asyncio.run(open_keychain(service_name(state)).remove(ENTRY))
    except Denial as denial:
        print(f"the demo's keys are still in the keychain: {denial.reason}", file=sys.stderr)
    shutil.rmtree(stage.root / "home", ignore_errors=True)


def _ztmcp() -> list[str]:
    return [sys.executable, "-m", "ztmcp_desktop"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
