"""The ledger checked from its files and the keychain alone, for when nothing can be assembled on it."""

import asyncio
import sqlite3

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ztmcp_desktop.audit import ending
from ztmcp_desktop.audit.head import read_copy
from ztmcp_desktop.audit.schema import read_mark, reading
from ztmcp_desktop.audit.store import public_key
from ztmcp_desktop.audit.timeline import SqliteTimeline
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import Verification
from ztmcp_desktop.settings import Home
from ztmcp_desktop.vault.installation import service_name
from ztmcp_desktop.vault.keychain import open_keychain
from ztmcp_desktop.vault.keys import load_keys

HEAD_COPY = "ledger.head"
MEND = "put the folders data and state back from the same backup, or move both away to begin a new ledger"


async def verify_ledger(home: Home) -> Verification:
    """All of the chain and its signature; a file that cannot be read at all does not hold either.

    Raises:
        Denial: there is no ledger, or its key cannot be had (`gateway-fault`, `secret-missing`).
    """
    key = await _key(home)
    try:
        return await SqliteTimeline(home.ledger, home.state / HEAD_COPY, key).verify()
    except Denial as denial:
        if isinstance(denial.__cause__, sqlite3.Error):
            return Verification(rows=0, bad_seq=None, beyond_head=0, reason=f"{home.ledger} is damaged")
        raise


async def wrong_end_of_ledger(home: Home) -> str:
    """What is wrong with the last rows and the copy of the head, empty if nothing: the check of each start.

    Raises:
        Denial: as `verify_ledger`.
    """
    key = await _key(home)
    return await asyncio.to_thread(_wrong_end, home, key)


def _wrong_end(home: Home, key: Ed25519PublicKey) -> str:
    # The copy first: what is committed meanwhile may only put the ledger ahead of it.
    copy = read_copy(home.state / HEAD_COPY)
    try:
        with reading(home.ledger) as connection:
            if read_mark(connection, "head") is None and ending.is_new(connection) and copy is None:
                return ""
            head, why = ending.read(connection, key)
            if head is None:
                return why
            if copy is None or not copy.genuine(key) or copy.seq > head.seq or not ending.leads_to(connection, copy):
                return "it does not reach the copy of its head"
    except sqlite3.Error:
        return "it is damaged"
    return ""


async def _key(home: Home) -> Ed25519PublicKey:
    if not home.ledger.exists():
        raise Denial(Code.GATEWAY_FAULT, f"there is no ledger at {home.ledger}")
    keys = await load_keys(open_keychain(service_name(home.state)), home)
    return public_key(keys.signing_key)
