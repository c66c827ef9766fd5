"""Runs the hostile program in the sandbox, as root or as an ordinary user, on a disk that is made for it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

REPO = Path(__file__).resolve().parents[2]
PROGRAMS = ("driver.py", "hostile.py")
# The system's own Python: an ordinary user may not be able to reach the one that runs the tests.
PYTHON = "/usr/bin/python3"
PATIENCE_S = 90
USER = "ztmcp-tests"


def make_user() -> bool:
    """An account of the tests' own; False where there was one."""
    made = subprocess.run(
        ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER],
        check=False,
        capture_output=True,
        text=True,
    )
    already = 9
    if made.returncode not in (0, already):
        raise RuntimeError(f"these tests must make a user, and cannot: {made.stderr}")
    return made.returncode == 0


@contextlib.contextmanager
def code_for_anybody() -> Iterator[Path]:
    """A copy of the package and the programs that every user can read."""
    root = Path(tempfile.mkdtemp(prefix="ztmcp-code-", dir="/var/tmp"))
    try:
        shutil.copytree(REPO / "ztmcp_desktop", root / "ztmcp_desktop", ignore=shutil.ignore_patterns("__pycache__"))
        for name in PROGRAMS:
            shutil.copy(Path(__file__).with_name(name), root)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield root
    finally:
        shutil.rmtree(root)


def wait_until(condition: Callable[[], bool], patience_s: float) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + patience_s
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return met


@dataclass(kw_only=True)
class Held:
    """A confined program that runs until it is ended."""

    driver: "subprocess.Popen[str]"
    first: str
    bwrap: psutil.Process

    def tree(self) -> list[psutil.Process]:
        """bubblewrap's own process and all below it; none of them is ever another's child, being in its namespace."""
        return [self.bwrap, *self.bwrap.children(recursive=True)]

    def end(self) -> dict[str, Any]:
        """End it as the gateway does."""
        out, err = self.driver.communicate(timeout=PATIENCE_S)
        assert self.driver.returncode == 0, err
        told: dict[str, Any] = json.loads(out)
        return told


@dataclass(kw_only=True)
class Attacker:
    """The disk, as `user_id` owns it, and who is let loose on it."""

    code: Path
    root: Path
    user_id: int
    group_id: int
    loop: str = "asyncio"
    drivers: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.project = self.folder("home"), self.folder("home/project")
        self.other, self.ours = self.folder("other-server"), self.folder("ours")

    def folder(self, name: str) -> Path:
        path = self.root
        for part in Path(name).parts:
            path /= part
            if not path.exists():
                path.mkdir()
                os.chown(path, self.user_id, self.group_id)
        return path

    def file(self, path: Path, text: str) -> Path:
        self.folder(str(path.parent.relative_to(self.root)))
        path.write_text(text)
        os.chown(path, self.user_id, self.group_id)
        return path

    def link(self, path: Path, target: Path | str) -> Path:
        self.folder(str(path.parent.relative_to(self.root)))
        path.symlink_to(target)
        os.chown(path, self.user_id, self.group_id, follow_symlinks=False)
        return path

    def argv(self, attempt: str, *words: object) -> list[str]:
        return [PYTHON, "-I", str(self.code / "hostile.py"), attempt, *map(str, words)]

    def as_the_user(self, command: list[str]) -> list[str]:
        if not self.user_id:
            return command
        return ["setpriv", f"--reuid={self.user_id}", f"--regid={self.group_id}", "--clear-groups", *command]

    def unconfined(self, attempt: str, *words: object) -> dict[str, Any]:
        """What comes of the attempt without a sandbox, by the same user: that the canary would sing."""
        done = subprocess.run(
            self.as_the_user(self.argv(attempt, *words)),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def begin(self, argv: list[str], *, around: tuple[str, ...] = (), **orders: Any) -> "subprocess.Popen[str]":
        given = {
            "argv": argv,
            "folders": [[str(self.project), "rw"]],
            "mounts": [str(self.code / "hostile.py")],
            "home": str(self.home),
            "ours": str(self.ours),
            "loop": self.loop,
            **orders,
        }
        # uvloop is in the tests' own environment.
        python = PYTHON if self.loop == "asyncio" else sys.executable
        driver = subprocess.Popen(
            self.as_the_user([*around, python, str(self.code / "driver.py")]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(self.code), "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            cwd=self.root,
        )
        self.drivers.append(driver)
        assert driver.stdin is not None
        driver.stdin.write(json.dumps(given) + "\n")
        driver.stdin.flush()
        return driver

    def drive(self, argv: list[str], **orders: Any) -> dict[str, Any]:
        """All that the driver tells."""
        driver = self.begin(argv, **orders)
        out, err = driver.communicate(timeout=PATIENCE_S)
        assert driver.returncode == 0, err
        told: dict[str, Any] = json.loads(out)
        return told

    def confined(self, attempt: str, *words: object, **orders: Any) -> dict[str, Any]:
        """What came of the attempt in the sandbox; fails where the sandbox did not start at all."""
        told = self.drive(self.argv(attempt, *words), **orders)
        assert "denied" not in told, told
        assert told["out"], told
        found: dict[str, Any] = json.loads(told["out"])
        return found

    def hold(self, attempt: str, *words: object, **orders: Any) -> Held:
        """Start a program that stays, and wait for its first line."""
        driver = self.begin(self.argv(attempt, *words), then="hold", **orders)
        assert driver.stdout is not None
        line = driver.stdout.readline()
        told = json.loads(line) if line else {}
        assert "first" in told, (told, line)
        return Held(driver=driver, first=told["first"].strip(), bwrap=psutil.Process(told["pid"]))

    def stop_all(self) -> None:
        for driver in self.drivers:
            if driver.poll() is None:
                driver.kill()
            driver.communicate()


def all_processes() -> Iterator[tuple[int, bytes, bytes]]:
    """Each process of this machine with its arguments and its environment, as root sees them."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(path.name), (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
