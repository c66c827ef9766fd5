"""The keys of an installation: made once, kept in the keychain, never made again behind the person's back."""

import base64
import binascii
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.ports import Vault
from ztmcp_desktop.settings import Home

ENTRY = "ztmcp.keys"
"""The name in the keychain. The dot keeps it apart from the person's secrets, whose names have none."""

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What digests, records on disk and the ledger's head are made with."""

    digester: Digester
    state_key: Sealed[bytes]
    signing_key: Sealed[Ed25519PrivateKey]


async def load_keys(vault: Vault, home: Home) -> Keys:
    """The keys of this home, made at its first use.

    Raises:
        Denial: the keychain does not answer, or has no keys although the home has a ledger or records, which new keys
            could not verify (`secret-missing`); the entry is damaged (`gateway-fault`).
    """
    try:
        stored = await vault.read(ENTRY)
    except Denial as missing:
        if missing.code is not Code.SECRET_MISSING:
            raise
        if _in_use(home):
            raise Denial(
                Code.SECRET_MISSING,
                f"the keys of this home cannot be had from the keychain ({missing.reason.partition('; ')[0]}); unlock "
                f"it or put the keychain back, or move {home.data} and {home.state} away to begin anew",
            ) from missing
        made = Sealed(base64.b64encode(secrets.token_bytes(3 * _KEY_BYTES)).decode())
        await vault.write(ENTRY, made)
        stored = await vault.read(ENTRY)
        if not secrets.compare_digest(stored.open(), made.open()):
            raise Denial(Code.SECRET_MISSING, "the keychain gave other keys back; see: ztmcp doctor") from missing
    return _split(stored)


def _in_use(home: Home) -> bool:
    return home.ledger.exists() or any(home.state.glob("*.json")) or (home.state / "ledger.head").exists()


def _split(stored: Sealed[str]) -> Keys:
    try:
        raw = base64.b64decode(stored.open(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 3 * _KEY_BYTES:
        raise Denial(Code.GATEWAY_FAULT, "the keys in the keychain are damaged; put the keychain back from a backup")
    digest_key, state_key, seed = (raw[at : at + _KEY_BYTES] for at in range(0, len(raw), _KEY_BYTES))
    return Keys(
        digester=Digester(Sealed(digest_key)),
        state_key=Sealed(state_key),
        signing_key=Sealed(Ed25519PrivateKey.from_private_bytes(seed)),
    )
