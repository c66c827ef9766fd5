"""What works on this machine, and how to mend what does not."""

import asyncio
import os
import shutil
import stat
import sys
from pathlib import Path

from ztmcp_desktop.control.configuration import Configuration
from ztmcp_desktop.control.machine import keychain_json, open_sandbox
from ztmcp_desktop.control.resources import resource
from ztmcp_desktop.control.verifying import MEND, wrong_end_of_ledger
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.settings import Home
from ztmcp_desktop.vault.installation import service_name
from ztmcp_desktop.vault.keychain import open_keychain

LEAST_FREE_BYTES = 64 * 1024**2
_SHIPPED = ("policy/default.cedar", "policy/schema.cedarschema")


async def examine(home: Home, user_home: Path) -> list[JsonObject]:
    """Every check as `{name, ok, detail, mend}`; needs no running gateway, and changes nothing."""
    return [
        _good("python", sys.version.split()[0]),
        _shipped(),
        _folders(home),
        _configuration(home),
        await _keychain(home),
        await _ledger(home),
        *await asyncio.to_thread(_sandbox, home, user_home),
        _space(home),
        _programs(),
        _screen(),
    ]


def _good(name: str, detail: str) -> JsonObject:
    return {"name": name, "ok": True, "detail": detail, "mend": ""}


def _bad(name: str, detail: str, mend: str) -> JsonObject:
    return {"name": name, "ok": False, "detail": detail, "mend": mend}


def _shipped() -> JsonObject:
    try:
        for name in _SHIPPED:
            resource(name)
    except Denial as denial:
        return _bad("installation", denial.reason, "install ztmcp-desktop again")
    return _good("installation", "complete")


def _folders(home: Home) -> JsonObject:
    for folder in home.folders():
        try:
            found = folder.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
            return _bad("folders", f"{folder} is a link or no folder", f"move {folder} away")
        if found.st_uid != os.geteuid():
            return _bad("folders", f"{folder} belongs to another user", f"move {folder} away")
        if stat.S_IMODE(found.st_mode) & 0o077:
            return _bad("folders", f"{folder} is open to other users", f"run: chmod 700 {folder}")
    return _good("folders", str(home.config.parent))


def _configuration(home: Home) -> JsonObject:
    try:
        servers = Configuration(home.config_file).all()
    except Denial as denial:
        return _bad("settings", denial.reason, "mend the line that is named")
    return _good("settings", "1 server" if len(servers) == 1 else f"{len(servers)} servers")


async def _keychain(home: Home) -> JsonObject:
    try:
        # Without a home there is no service name yet; the question is the same.
        service = service_name(home.state) if (home.state / "installation").exists() else "ztmcp:doctor"
        report = await keychain_json(open_keychain(service))
    except Denial as denial:
        return _bad("keychain", denial.reason, "start and unlock the keychain of your desktop")
    if not report["works"]:
        return _bad("keychain", report["reason"], report["mend"])
    return _good("keychain", report["name"])


async def _ledger(home: Home) -> JsonObject:
    if not home.ledger.exists():
        return _good("ledger", "none yet")
    try:
        wrong = await wrong_end_of_ledger(home)
    except Denial as denial:
        return _bad("ledger", f"it cannot be checked: {denial.reason}", "mend the keychain first")
    if wrong:
        return _bad("ledger", f"{home.ledger} does not hold: {wrong}", MEND)
    return _good("ledger", "its end holds; all of it is checked by: ztmcp audit verify")


def _sandbox(home: Home, user_home: Path) -> list[JsonObject]:
    report = open_sandbox(home, user_home).report()
    if not report.works:
        return [_bad("sandbox", report.reason, report.mend)]
    missing = [_bad("limit", sentence, report.mend or "servers run without this limit") for sentence in report.missing]
    return [_good("sandbox", report.name), *missing]


def _space(home: Home) -> JsonObject:
    folder = next(path for path in (home.data, *home.data.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free // 1024**2} MiB free at {folder}"
    if free < LEAST_FREE_BYTES:
        return _bad("disk", detail, "make room: without a ledger nothing is let through")
    return _good("disk", detail)


def _programs() -> JsonObject:
    found = [name for name in ("node", "npm", "python3") if shutil.which(name)]
    if not found:
        return _bad("runtimes", "none", "install Python or Node for servers to run on")
    return _good("runtimes", ", ".join(found))


def _screen() -> JsonObject:
    there = sys.platform in {"darwin", "win32"} or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not there:
        return _bad("screen", "none", "start the gateway alone with: ztmcp run --headless")
    return _good("screen", "there is one")
