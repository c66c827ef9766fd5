"""What this machine gives us: its sandbox, its runtimes, its keychain."""

from pathlib import Path

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.ports import RuntimeResolver, Sandbox, Vault
from ztmcp_desktop.sandbox import bubblewrap
from ztmcp_desktop.sandbox.runtime import Runtimes
from ztmcp_desktop.settings import Home
from ztmcp_desktop.vault.keychain import Keychain


def open_sandbox(home: Home, user_home: Path) -> Sandbox:
    """The sandbox of this system; one that refuses where there is none."""
    return bubblewrap.open_sandbox(home.folders(), user_home)


def open_runtimes(home: Home, user_home: Path) -> RuntimeResolver:
    """What finds and installs the programs of servers."""
    return Runtimes(home.packages, home.folders(), user_home)


async def keychain_json(vault: Vault) -> JsonObject:
    """Whether the keychain answers, for status and doctor."""
    if not isinstance(vault, Keychain):
        return {"name": type(vault).__name__, "works": True, "reason": "", "mend": ""}
    report = await vault.probe()
    return {"name": report.name, "works": report.works, "reason": report.reason, "mend": report.mend}
