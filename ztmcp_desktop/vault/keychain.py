"""The keychain of the operating system: secrets are there or nowhere."""

import asyncio
import hmac
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from keyring.errors import InitError, KeyringError, KeyringLocked, PasswordDeleteError

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.vault.backends import Backend, choose, plain_name

ANSWER_S = 5.0
CACHE_S = 120.0
MAX_CACHED = 64
MAX_RUNNING = 8
MAX_VALUE = 64 * 1024
_PROBE = "ztmcp.probe"
_MEND = (
    "log in to a desktop session with GNOME Keyring, KWallet or KeePassXC (Debian: apt install gnome-keyring), "
    "and start ztmcp inside it"
)
_UNLOCK = "unlock the default keychain of your session (Debian: seahorse) and try again"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeychainReport:
    """Whether the keychain answers; `reason` and `mend` are sentences, empty where nothing is wrong."""

    name: str
    works: bool
    reason: str = ""
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cached:
    value: Sealed[str]
    until: float


class Keychain:
    """Implements `ports.Vault` over one keyring backend.

    Each question to the backend runs in a thread of its own and is given up after 5 s, since D-Bus may never answer.
    A value that was read stays in memory, sealed, for 2 minutes: a read takes 33 ms.
    """

    def __init__(self, service: str, backend: Backend, answer_s: float = ANSWER_S) -> None:
        self._service = service
        self._backend = backend
        self._answer_s = answer_s
        self._running = threading.Semaphore(MAX_RUNNING)
        self._cache: dict[str, _Cached] = {}
        self._changes = 0

    async def read(self, name: str) -> Sealed[str]:
        cached = self._cache.get(name)
        if cached and time.monotonic() < cached.until:
            return cached.value
        changes = self._changes
        value = await self._ask(lambda: self._backend.get_password(self._service, name))
        if value is None:
            raise Denial(
                Code.SECRET_MISSING, f"the keychain has no secret {name}; set it with: ztmcp secret set {name}"
            )
        sealed = Sealed(value)
        # A value read while another was being written may be the old one.
        if changes == self._changes:
            self._remember(name, sealed)
        return sealed

    async def write(self, name: str, value: Sealed[str]) -> None:
        if not 0 < len(value.open()) <= MAX_VALUE:
            raise Denial(Code.SECRET_MISSING, f"a secret is 1 to {MAX_VALUE} characters long")
        self._forget(name)
        await self._ask(lambda: self._backend.set_password(self._service, name, value.open()))
        kept = await self._ask(lambda: self._backend.get_password(self._service, name))
        self._forget(name)
        if kept is None or not hmac.compare_digest(kept.encode(), value.open().encode()):
            raise Denial(Code.SECRET_MISSING, f"the keychain did not keep {name}; see: ztmcp doctor")

    async def remove(self, name: str) -> None:
        self._forget(name)
        await self._ask(lambda: self._delete(name))
        self._forget(name)

    def drop_cache(self) -> None:
        """Forget every value that was read; the next read asks the keychain again."""
        self._changes += 1
        self._cache.clear()

    async def probe(self) -> KeychainReport:
        """Whether the keychain can be read now. Writes nothing."""
        name = plain_name(self._backend)
        try:
            await self._ask(lambda: self._backend.get_password(self._service, _PROBE))
        except Denial as denial:
            reason, _, mend = denial.reason.partition("; ")
            return KeychainReport(name=name, works=False, reason=reason, mend=mend)
        return KeychainReport(name=name, works=True)

    def _remember(self, name: str, value: Sealed[str]) -> None:
        self._cache.pop(name, None)
        while len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[name] = _Cached(value=value, until=time.monotonic() + CACHE_S)

    def _forget(self, name: str) -> None:
        self._changes += 1
        self._cache.pop(name, None)

    def _delete(self, name: str) -> None:
        try:
            self._backend.delete_password(self._service, name)
        except PasswordDeleteError:
            if self._backend.get_password(self._service, name) is not None:
                raise

    async def _ask(self, question: Callable[[], T]) -> T:
        if not self._running.acquire(blocking=False):
            raise Denial(Code.SECRET_MISSING, f"the keychain does not answer; {_MEND}", Retry.LATER)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: Denial | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type]

        def run() -> None:
            value: T | None = None
            denial: Denial | None = None
            try:
                value = question()
            except Exception as error:  # noqa: BLE001 - the root of a thread; whatever failed, the answer is no
                denial = _refusal(error)
            finally:
                self._running.release()
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, value, denial)

        # A daemon, because a thread that waits for a dead D-Bus must not keep the program from ending.
        threading.Thread(target=run, name="keychain", daemon=True).start()
        try:
            async with asyncio.timeout(self._answer_s):
                return await future
        except TimeoutError as error:
            reason = f"the keychain did not answer within {self._answer_s:g} s; {_MEND}"
            raise Denial(Code.SECRET_MISSING, reason, Retry.LATER) from error


def _refusal(error: Exception) -> Denial:
    match error:
        case Denial():
            return error
        case KeyringLocked():
            return Denial(Code.SECRET_MISSING, f"the keychain is locked; {_UNLOCK}", Retry.LATER)
        case InitError():
            return Denial(Code.SECRET_MISSING, f"there is no keychain here ({error}); {_MEND}")
        case KeyringError() | OSError():
            return Denial(Code.SECRET_MISSING, f"the keychain failed ({type(error).__name__}); {_MEND}")
        case _:
            return Denial(Code.SECRET_MISSING, f"the keychain failed ({type(error).__name__}); see: ztmcp doctor")


def open_keychain(service: str, platform: str = sys.platform) -> Keychain:
    """The keychain of this operating system for the entries of `service`; it is not asked anything yet.

    Raises:
        Denial: no keychain is known for this system (`secret-missing`).
    """
    return Keychain(service, choose(platform))
