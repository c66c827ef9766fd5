"""The keychains that we trust, one for each operating system, each built by class and never asked to prompt."""

import sys
from typing import Protocol

from ztmcp_desktop.domain.denial import Code, Denial


class Backend(Protocol):
    """The part of a keyring backend that we use."""

    def get_password(self, service: str, username: str) -> str | None:
        """The value, None where there is none."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store the value."""

    def delete_password(self, service: str, username: str) -> None:
        """Forget the value."""


def choose(platform: str = sys.platform) -> Backend:
    """The one backend of this operating system.

    Neither `PYTHON_KEYRING_BACKEND`, nor keyring's configuration file, nor its chainer has a say: each of them can
    turn the keychain into a plain file or into nothing.

    Raises:
        Denial: there is none for this system (`secret-missing`).
    """
    match platform:
        case "linux":
            from ztmcp_desktop.vault.secret_service import UnpromptedSecretService

            linux: Backend = UnpromptedSecretService()  # type: ignore[no-untyped-call]
            return linux
        case "darwin":
            from keyring.backends.macOS import Keyring

            mac: Backend = Keyring()  # type: ignore[no-untyped-call]
            # KEYCHAIN_PATH in the environment would choose another keychain.
            mac.keychain = None  # type: ignore[attr-defined]
            return mac
        case "win32":
            from keyring.backends.Windows import WinVaultKeyring

            windows: Backend = WinVaultKeyring()  # type: ignore[no-untyped-call]
            return windows
        case _:
            raise Denial(Code.SECRET_MISSING, f"no keychain is known for {platform}, so no secret can be kept here")


_NAMES = {
    "UnpromptedSecretService": "Secret Service (GNOME Keyring, KWallet or KeePassXC)",
    "Keyring": "macOS Keychain",
    "WinVaultKeyring": "Windows Credential Manager",
}


def plain_name(backend: Backend) -> str:
    """What a person calls the keychain behind it."""
    return _NAMES.get(type(backend).__name__, "keychain")
