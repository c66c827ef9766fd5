"""How the bridge and the gateway prove to each other that they belong to one home, before anything else is said.

    bridge  → gateway  {"ztmcp-bridge": 1, "nonce": N}
    gateway → bridge   {"nonce": M, "proof": HMAC(key, "gateway" N M)}
    bridge  → gateway  {"server": S, "proof": HMAC(key, "bridge" N M S)}

The key lies in the home's `state/`, new at each start of the gateway. Until the second line is right, the bridge has
said nothing but a random number, so whoever took the socket's place gets nothing. From then on each line is JSON-RPC.
"""

import hashlib
import hmac
import json
import secrets
from pathlib import Path

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.vault.folders import read_private, replace_private

VERSION = 1
MAX_LINE_BYTES = 1024
KEY_BYTES = 32
_KEY = "bridge.key"
_NONCE_CHARS = 64


class NoProof(Exception):  # noqa: N818 - a state, not a fault
    """The other side does not belong to this home, or what it says is no handshake."""


def make_key(state: Path) -> bytes:
    """A new key, written where only this home has it.

    Raises:
        Denial: it cannot be written.
    """
    key = secrets.token_bytes(KEY_BYTES)
    replace_private(state / _KEY, key)
    return key


def read_key(state: Path) -> bytes:
    """The key of the gateway that runs, or ran last.

    Raises:
        NoProof: there is none.
        Denial: it is not ours alone.
    """
    key = read_private(state / _KEY)
    if key is None or len(key) != KEY_BYTES:
        raise NoProof("the gateway has never run for this home")
    return key


def new_nonce() -> str:
    """256 random bits, in hex."""
    return secrets.token_hex(_NONCE_CHARS // 2)


def proof_of(key: bytes, who: str, *said: str) -> str:
    """What `who` (`gateway` or `bridge`) says to prove that it has the key; good for these nonces only."""
    message = json.dumps(["ztmcp bridge", VERSION, who, *said], ensure_ascii=True).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def require_proof(untrusted: object, key: bytes, who: str, *said: str) -> None:
    """Refuse a proof that is not the right one; compared in constant time.

    Raises:
        NoProof: it is another one.
    """
    if not isinstance(untrusted, str) or not hmac.compare_digest(
        untrusted.encode("utf-8", "replace"), proof_of(key, who, *said).encode()
    ):
        raise NoProof("it does not belong to this home")


def require_nonce(untrusted: object) -> str:
    """A nonce of the other side.

    Raises:
        NoProof: it is none.
    """
    if not isinstance(untrusted, str) or len(untrusted) != _NONCE_CHARS:
        raise NoProof("it sent no nonce")
    return untrusted


def written(message: JsonObject) -> bytes:
    """A line of the handshake."""
    return json.dumps(message).encode() + b"\n"


def read(untrusted_line: bytes) -> JsonObject:
    """A line of the handshake.

    Raises:
        NoProof: it is none.
    """
    try:
        message = json.loads(untrusted_line) if untrusted_line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise NoProof("it did not answer as a gateway does")
    return message
