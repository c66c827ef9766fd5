import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.vault import keychain
from ztmcp_desktop.vault.backends import choose
from ztmcp_desktop.vault.keychain import MAX_RUNNING, Keychain, open_keychain
from ztmcp_desktop.vault.secret_service import UnpromptedSecretService

REPOSITORY = Path(__file__).parents[2]
SERVICE = f"ztmcp:test-{secrets.token_hex(8)}"


class Backend:
    """Keeps values in memory; `fails` is raised by each question, `hangs` holds each up."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None
        self.hangs = threading.Event()
        self.hangs.set()
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        self.hangs.wait(30)
        if self.fails:
            raise self.fails

    def get_password(self, service: str, username: str) -> str | None:
        self._ask()
        return self.values.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._ask()
        self.values[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._ask()
        if self.values.pop((service, username), None) is None:
            raise PasswordDeleteError("none")


async def refusal(vault: Keychain, name: str = "TOKEN") -> str:
    with pytest.raises(Denial) as refused:
        await vault.read(name)
    assert refused.value.code is Code.SECRET_MISSING
    return refused.value.reason


@pytest.mark.attack("C12")
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (KeyringLocked("x"), "locked"),
        (InitError("no D-Bus session"), "no D-Bus session"),
        (OSError("x"), "failed"),
        (RuntimeError("the value s3cret"), "failed"),
    ],
)
async def test_a_keychain_that_fails_refuses_and_says_how_to_mend_it(failure: Exception, said: str) -> None:
    backend = Backend()
    backend.fails = failure
    vault = Keychain(SERVICE, backend)
    reason = await refusal(vault)
    assert said in reason
    assert "; " in reason
    assert "s3cret" not in reason
    with pytest.raises(Denial):
        await vault.write("TOKEN", Sealed("v"))
    with pytest.raises(Denial):
        await vault.remove("TOKEN")
    assert backend.values == {}
    report = await vault.probe()
    assert not report.works
    assert report.mend


@pytest.mark.attack("C12")
async def test_a_keychain_that_never_answers_refuses_in_time_and_is_not_asked_without_end() -> None:
    backend = Backend()
    backend.hangs.clear()
    vault = Keychain(SERVICE, backend, answer_s=0.02)
    for _ in range(MAX_RUNNING + 5):
        assert "not answer" in await refusal(vault)
    assert backend.asked == MAX_RUNNING
    backend.hangs.set()


async def test_a_keychain_that_does_not_keep_what_it_is_given_refuses() -> None:
    backend = Backend()
    backend.set_password = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(Denial, match="did not keep"):
        await Keychain(SERVICE, backend).write("TOKEN", Sealed("v"))


async def test_an_empty_secret_is_refused() -> None:
    backend = Backend()
    with pytest.raises(Denial):
        await Keychain(SERVICE, backend).write("TOKEN", Sealed(""))
    assert backend.asked == 0


async def test_a_secret_that_is_not_there_is_named() -> None:
    assert "no secret TOKEN" in await refusal(Keychain(SERVICE, Backend()))


async def test_a_value_is_remembered_until_it_changes_or_its_minutes_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    vault = Keychain(SERVICE, backend)
    await vault.write("TOKEN", Sealed("one"))
    asked = backend.asked
    assert [(await vault.read("TOKEN")).open() for _ in range(5)] == ["one"] * 5
    assert backend.asked == asked + 1
    await vault.write("TOKEN", Sealed("two"))
    assert (await vault.read("TOKEN")).open() == "two"
    backend.fails = KeyringLocked("x")
    assert (await vault.read("TOKEN")).open() == "two"
    now = keychain.time.monotonic()
    monkeypatch.setattr(keychain.time, "monotonic", lambda: now + keychain.CACHE_S + 1)
    await refusal(vault)


async def test_dropping_and_removing_forget_the_value() -> None:
    backend = Backend()
    vault = Keychain(SERVICE, backend)
    await vault.write("TOKEN", Sealed("one"))
    await vault.read("TOKEN")
    vault.drop_cache()
    backend.fails = KeyringLocked("x")
    await refusal(vault)
    backend.fails = None
    await vault.read("TOKEN")
    await vault.remove("TOKEN")
    await vault.remove("TOKEN")
    await refusal(vault)


async def test_what_is_remembered_is_bounded() -> None:
    backend = Backend()
    vault = Keychain(SERVICE, backend)
    for number in range(keychain.MAX_CACHED + 5):
        backend.values[SERVICE, f"T{number}"] = "v"
        await vault.read(f"T{number}")
    assert len(vault._cache) == keychain.MAX_CACHED


def test_an_unknown_system_has_no_keychain() -> None:
    with pytest.raises(Denial, match="plan9"):
        open_keychain(SERVICE, "plan9")


def test_the_environment_does_not_choose_the_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "python_keyring").mkdir()
    (tmp_path / "python_keyring" / "keyringrc.cfg").write_text(
        "[backend]\ndefault-keyring=keyring.backends.null.Keyring\n"
    )
    assert type(choose("linux")) is UnpromptedSecretService
    assert type(choose("darwin")).__module__ == "keyring.backends.macOS"
    assert type(choose("win32")).__module__ == "keyring.backends.Windows"


@pytest.mark.attack("C12")
@pytest.mark.parametrize("address", [None, "", "unix:path=/nonexistent/bus", "nonsense", "tcp:host=127.0.0.1,port=1"])
async def test_without_a_session_bus_there_is_no_keychain(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    assert "keychain" in await refusal(open_keychain(SERVICE))


async def test_a_bus_that_says_nothing_refuses_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(str(tmp_path / "bus"))
        silent.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
        assert "not answer" in await refusal(Keychain(SERVICE, choose("linux"), answer_s=0.2))


@pytest.fixture
async def real() -> AsyncIterator[Keychain]:
    vault = open_keychain(SERVICE)
    yield vault
    await vault.remove("TOKEN")


@pytest.mark.screen
async def test_the_real_keychain_keeps_and_forgets(real: Keychain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    assert "no secret TOKEN" in await refusal(real)
    await real.write("TOKEN", Sealed("välue\n\"'"))
    assert (await open_keychain(SERVICE).read("TOKEN")).open() == "välue\n\"'"
    assert "no secret" in await refusal(open_keychain(f"{SERVICE}-other"))
    await real.remove("TOKEN")
    assert "no secret TOKEN" in await refusal(real)
    assert (await real.probe()).works


LOCKED = """
import asyncio, contextlib
import secretstorage
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.vault.keychain import open_keychain

async def refused(asked):
    try:
        await asked
    except Denial as denial:
        return denial.reason
    return "not refused"

async def main():
    vault = open_keychain("ztmcp:locked")
    await vault.write("TOKEN", Sealed("v"))
    with contextlib.closing(secretstorage.dbus_init()) as bus:
        secretstorage.get_default_collection(bus).lock()
    print(await refused(vault.read("TOKEN")))
    print(await refused(vault.write("TOKEN", Sealed("w"))))
    print(await refused(vault.remove("TOKEN")))
    print(await vault.probe())

asyncio.run(main())
"""


@pytest.mark.screen
@pytest.mark.attack("C12")
def test_the_real_keychain_locked_refuses_without_asking_to_unlock() -> None:
    """In a keychain of its own, since nobody can unlock it again."""
    inside = [REPOSITORY / "packaging" / "with-keychain", sys.executable, "-c", LOCKED]
    ran = subprocess.run(inside, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    *refusals, report = ran.stdout.splitlines()
    assert len(refusals) == 3
    assert all(line.startswith("the keychain is locked; unlock") for line in refusals)
    assert "works=False, reason='the keychain is locked', mend='unlock" in report
