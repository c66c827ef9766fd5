"""A hostile server, confined, as root and as an ordinary user: each attempt fails, and nothing is left of it."""

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

REPO = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("one_run.py")
PYTHON = "/usr/bin/python3"
USER = "ztmcp-tests"
CANARY = "the-words-that-must-not-be-read"
pytestmark = [pytest.mark.timeout(120)]


def ordinary_user() -> pwd.struct_passwd:
    """An account of the tests' own, made at first use."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(USER)
    subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/bin/sh", USER], check=True)
    return pwd.getpwnam(USER)


@dataclass
class Attacker:
    """Runs a program in the sandbox, as root or as the ordinary user, on a disk made for it."""

    root: Path
    uid: int
    gid: int
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder("home")
        self.project = self.folder("home/project")
        self.other = self.folder("other-server")
        self.ours = self.folder("ours")
        (self.root / "code").mkdir()
        shutil.copytree(REPO / "ztmcp_desktop", self.root / "code" / "ztmcp_desktop")
        shutil.copy(DRIVER, self.root / "code")

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, self.uid, self.gid)
        return path

    def file(self, path: Path, text: str = CANARY) -> Path:
        self.folder(str(path.parent.relative_to(self.root)))
        path.write_text(text)
        os.chown(path, self.uid, self.gid)
        return path

    def begin(self, orders: dict[str, Any]) -> "subprocess.Popen[str]":
        given = {"folders": [[str(self.project), "rw"]], "home": str(self.home), "ours": str(self.ours), **orders}
        command = [PYTHON, str(self.root / "code" / "one_run.py")]
        if self.uid:
            command = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", *command]
        environment = {**os.environ, "PYTHONPATH": str(self.root / "code"), "HOME": str(self.home)}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            cwd=self.root,
        )
        self.processes.append(process)
        assert process.stdin is not None
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()
        return process

    def run(self, code: str, **orders: Any) -> dict[str, Any]:
        """What came of running `code` with Python inside."""
        process = self.begin({"argv": [PYTHON, "-I", "-c", code], **orders})
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        assert "denied" not in found, found
        return found

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture(params=["root", "user"])
def attacker(request: pytest.FixtureRequest) -> Iterator[Attacker]:
    account = ordinary_user()
    root = Path(tempfile.mkdtemp(prefix="ztmcp-hostile-", dir="/var/tmp"))
    root.chmod(0o755)
    uid, gid = (0, 0) if request.param == "root" else (account.pw_uid, account.pw_gid)
    made = Attacker(root, uid, gid)
    yield made
    made.end()
    shutil.rmtree(root)


READ = "import sys\ntry: print(open({!r}).read())\nexcept OSError as e: print('failed', type(e).__name__)"
WRITE = "try: open({!r}, 'w').write('owned'); print('wrote')\nexcept OSError as e: print('failed', type(e).__name__)"


@pytest.mark.promise("R4")
def test_it_works_at_all_inside_its_own_folder(attacker: Attacker) -> None:
    attacker.file(attacker.project / "note", "my own note")
    assert "my own note" in attacker.run(READ.format(str(attacker.project / "note")))["out"]
    assert "wrote" in attacker.run(WRITE.format(str(attacker.project / "new")))["out"]
    assert (attacker.project / "new").read_text() == "owned"


@pytest.mark.attack("P3")
@pytest.mark.promise("R4")
@pytest.mark.parametrize("what", ["home/.ssh/id_ed25519", "other-server/data", "ours/ledger.db", "home/secret.txt"])
def test_it_reads_nothing_beyond_its_folder(attacker: Attacker, what: str) -> None:
    path = attacker.file(attacker.root / what)
    out = attacker.run(READ.format(str(path)))["out"]
    assert CANARY not in out
    assert "failed" in out


@pytest.mark.attack("P3")
def test_it_does_not_read_the_systems_passwords(attacker: Attacker) -> None:
    assert "failed" in attacker.run(READ.format("/etc/shadow"))["out"]


@pytest.mark.attack("P3")
def test_a_link_out_of_its_folder_leads_nowhere(attacker: Attacker) -> None:
    path = attacker.file(attacker.other / "data")
    link = attacker.project / "link"
    link.symlink_to(path)
    assert CANARY not in attacker.run(READ.format(str(link)))["out"]


@pytest.mark.attack("P3")
def test_it_writes_nothing_beyond_its_folder(attacker: Attacker) -> None:
    for path in (
        attacker.other / "new",
        attacker.home / ".bashrc",
        Path("/etc/cron.d/ztmcp"),
        Path("/usr/bin/ztmcp-x"),
    ):
        assert "failed" in attacker.run(WRITE.format(str(path)))["out"]
        assert not path.exists()


@pytest.mark.attack("P3")
def test_a_folder_that_is_read_only_stays_as_it_is(attacker: Attacker) -> None:
    path = attacker.file(attacker.project / "note")
    found = attacker.run(WRITE.format(str(path)), folders=[[str(attacker.project), "ro"]])
    assert "failed" in found["out"]
    assert path.read_text() == CANARY


@pytest.mark.attack("P3")
@pytest.mark.parametrize("what", [".ssh/id_rsa", ".gnupg/key", ".aws/credentials"])
def test_keys_inside_a_permitted_folder_are_covered(attacker: Attacker, what: str) -> None:
    path = attacker.file(attacker.project / what)
    assert CANARY not in attacker.run(READ.format(str(path)))["out"]


@pytest.mark.attack("P3")
def test_the_hooks_of_a_repository_cannot_be_written_nor_moved_aside(attacker: Attacker) -> None:
    attacker.file(attacker.project / "repo" / ".git" / "HEAD", "ref: refs/heads/main\n")
    attacker.file(attacker.project / "repo" / ".git" / "config", "[core]\n")
    hook = attacker.file(attacker.project / "repo" / ".git" / "hooks" / "pre-commit", "#!/bin/sh\n")
    assert "failed" in attacker.run(WRITE.format(str(hook)))["out"]
    move = f"import os\ntry: os.rename({str(hook.parent)!r}, {str(hook.parent) + '2'!r}); print('moved')\n"
    assert "failed" in attacker.run(move + "except OSError: print('failed')")["out"]
    assert hook.read_text() == "#!/bin/sh\n"


@pytest.mark.attack("P6")
@pytest.mark.promise("R4")
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_it_reaches_no_listener_on_this_machine(attacker: Attacker, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as canary:
        canary.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            canary.listen()
        canary.settimeout(0.3)
        port = canary.getsockname()[1]
        code = f"import socket\ns = socket.socket(2, {int(kind)})\ns.settimeout(2)\n"
        code += f"try: s.connect(('127.0.0.1', {port})); s.send(b'out'); print('sent')\n"
        attacker.run(code + "except OSError as e: print('failed', e)")
        with pytest.raises(TimeoutError):
            canary.accept() if kind is socket.SOCK_STREAM else canary.recv(16)


@pytest.mark.attack("P6")
def test_it_has_no_network_but_its_own_loopback(attacker: Attacker) -> None:
    out = attacker.run("import socket; print([name for _, name in socket.if_nameindex()])")["out"]
    assert out.strip() in {"['lo']", "[]"}


@pytest.mark.attack("P6", "C6")
@pytest.mark.parametrize("abstract", [False, True])
def test_it_reaches_no_unix_socket_of_the_host(attacker: Attacker, abstract: bool) -> None:
    name = f"\0ztmcp-canary-{os.getpid()}" if abstract else str(attacker.project / "canary.sock")
    with socket.socket(socket.AF_UNIX) as canary:
        canary.bind(name)
        if not abstract:
            Path(name).chmod(0o777)
        canary.listen()
        canary.settimeout(0.3)
        code = f"import socket\ntry:\n s = socket.socket(1); s.connect({name!r}); print('connected')\n"
        assert "failed" in attacker.run(code + "except OSError as e: print('failed', e)")["out"]
        with pytest.raises(TimeoutError):
            canary.accept()


@pytest.mark.attack("C5", "C6")
@pytest.mark.promise("R4")
def test_it_sees_no_display_no_d_bus_and_no_keychain(attacker: Attacker) -> None:
    code = (
        "import os, glob\n"
        "print([k for k in os.environ if k in ('DISPLAY','WAYLAND_DISPLAY','XAUTHORITY','DBUS_SESSION_BUS_ADDRESS',"
        "'SSH_AUTH_SOCK','GNOME_KEYRING_CONTROL')])\n"
        "print(glob.glob('/tmp/.X11-unix/*') + glob.glob('/run/*') + glob.glob('/var/run/*'))"
    )
    assert attacker.run(code)["out"].split() == ["[]", "[]"]


@pytest.mark.attack("P5")
def test_it_sees_no_other_process_and_its_secrets_are_in_no_argument(attacker: Attacker) -> None:
    code = "import os, time\nseen = [p for p in os.listdir('/proc') if p.isdigit()]\n"
    code += "print(os.environ['TOKEN'], len(seen), flush=True)\n"
    process = attacker.begin(
        {"argv": [PYTHON, "-I", "-c", code + "time.sleep(30)"], "env": {"TOKEN": CANARY}, "then": "wait to be killed"}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert CANARY not in " ".join(other.cmdline())
    found = attacker.run(code, env={"TOKEN": "inner"})
    assert int(found["out"].split()[1]) <= 4


@pytest.mark.attack("P8")
@pytest.mark.promise("R4")
@pytest.mark.parametrize("how", ["kill", "wait to be killed"])
def test_nothing_outlives_the_application(attacker: Attacker, how: str) -> None:
    beat = attacker.project / "beat"
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n"
        f"  while True:\n   open({str(beat)!r}, 'a').write('x'); time.sleep(0.05)\n"
        " os._exit(0)\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    process = attacker.begin({"argv": [PYTHON, "-I", "-c", code], "then": how})
    assert process.stdout is not None
    if how == "kill":
        process.communicate(timeout=60)
    else:
        assert process.stdout.readline() == "started\n"
        end = time.monotonic() + 10
        while not beat.exists() and time.monotonic() < end:
            time.sleep(0.02)
        process.kill()
        process.communicate()
    sizes = _sizes_until_still(beat)
    assert sizes[-1] == sizes[-2]


def _sizes_until_still(beat: Path) -> list[int]:
    """The sizes of a file that a process writes to, until two that lie 0.5 s apart are equal; at most 3 s."""
    sizes = [-1]
    end = time.monotonic() + 3
    while time.monotonic() < end and (len(sizes) < 2 or sizes[-1] != sizes[-2]):
        sizes.append(beat.stat().st_size if beat.exists() else 0)
        time.sleep(0.5)
    return sizes


@pytest.mark.attack("P8")
def test_it_cannot_fork_without_end(attacker: Attacker) -> None:
    code = (
        "import os, time\ncount = 0\n"
        "for _ in range(300):\n try:\n  if os.fork() == 0:\n   time.sleep(5); os._exit(0)\n  count += 1\n"
        " except OSError: break\nprint(count, flush=True)\nos._exit(0)"
    )
    found = attacker.run(code, limits={"processes": 40})
    assert int(found["out"]) < 60


@pytest.mark.attack("N8")
def test_it_cannot_take_all_memory(attacker: Attacker) -> None:
    code = "print('begin', flush=True)\nx = bytearray(400 * 1024 * 1024)\nprint('got it all')"
    found = attacker.run(code, limits={"memory_bytes": 128 * 1024 * 1024})
    assert "got it all" not in found["out"]
    assert found["status"] != 0


def test_it_cannot_open_files_without_end(attacker: Attacker) -> None:
    code = "import os\nn = 0\ntry:\n for n in range(5000): os.open('/usr', os.O_RDONLY)\nexcept OSError: pass\nprint(n)"
    assert int(attacker.run(code, limits={"open_files": 64})["out"]) < 70


@pytest.mark.attack("P7")
def test_it_can_trace_nobody_and_make_no_namespace(attacker: Attacker) -> None:
    code = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, 1, 0, 0), libc.unshare(0x10000000), libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))"
    )
    assert attacker.run(code)["out"].split() == ["-1", "-1", "-1"]
