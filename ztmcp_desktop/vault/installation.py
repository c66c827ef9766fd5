"""The random id that keeps the keychain entries of one home apart from those of another."""

import re
import secrets
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.vault.folders import read_private, replace_private

FILE_NAME = "installation"
_ID = re.compile(rb"[0-9a-f]{32}\n?")


def service_name(state: Path) -> str:
    """`ztmcp:` and the id in `state/installation`, which is made at first use.

    Raises:
        Denial: the file holds something else, or N11 forbids it (`gateway-fault`).
    """
    path = state / FILE_NAME
    found = read_private(path)
    if found is None:
        found = secrets.token_hex(16).encode()
        replace_private(path, found + b"\n")
    if not _ID.fullmatch(found):
        raise Denial(Code.GATEWAY_FAULT, f"{path} is damaged; put it back from a backup")
    return f"ztmcp:{found.decode().strip()}"
