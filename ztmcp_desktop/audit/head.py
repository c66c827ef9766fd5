"""The signed end of the chain, in the database and in a copy outside of it."""

import base64
import binascii
import contextlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ztmcp_desktop.audit.row import FIRST_PREV
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import canonical

MAX_COPY_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last row's `seq` and hash (0 and 64 zeros before the first), with an Ed25519 signature (RFC 8032) over both.

    `purpose` tells a head from the checkpoint of a pruned ledger, so that neither can stand for the other.
    """

    seq: int
    hash: str
    signature: str
    purpose: str = "head"

    def genuine(self, key: Ed25519PublicKey) -> bool:
        """Whether we signed this."""
        try:
            key.verify(base64.b64decode(self.signature, validate=True), _message(self.purpose, self.seq, self.hash))
        except (InvalidSignature, binascii.Error, ValueError, TypeError):
            return False
        return True


def sign(key: Ed25519PrivateKey, seq: int, row_hash: str, purpose: str = "head") -> Head:
    """The signed head after the row `seq`."""
    signature = base64.b64encode(key.sign(_message(purpose, seq, row_hash))).decode()
    return Head(seq=seq, hash=row_hash, signature=signature, purpose=purpose)


def first(key: Ed25519PrivateKey) -> Head:
    """The head of a ledger without rows."""
    return sign(key, 0, FIRST_PREV)


def _message(purpose: str, seq: int, row_hash: str) -> bytes:
    return b"ztmcp ledger\0" + canonical({"purpose": purpose, "seq": seq, "hash": row_hash})


def write_copy(path: Path, head: Head) -> None:
    """Replace the copy outside the database, durably.

    Raises:
        OSError: it cannot be written; the old copy stands.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(canonical({"seq": head.seq, "hash": head.hash, "signature": head.signature}))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def read_copy(path: Path) -> Head | None:
    """The copy outside, unverified; None where there is none.

    Raises:
        Denial: a link, a strange file, or no head at all (`gateway-fault`).
    """
    check_private(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        untrusted = file.read(MAX_COPY_BYTES)
    try:
        members = json.loads(untrusted)
        seq, row_hash, signature = members["seq"], members["hash"], members["signature"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Denial(Code.GATEWAY_FAULT, f"{path} is not the copy of the ledger's head that we wrote") from error
    if type(seq) is not int or not isinstance(row_hash, str) or not isinstance(signature, str):
        raise Denial(Code.GATEWAY_FAULT, f"{path} is not the copy of the ledger's head that we wrote")
    return Head(seq=seq, hash=row_hash, signature=signature)


def check_private(path: Path) -> None:
    """Refuse a file that is not plainly ours; a missing one is fine.

    Raises:
        Denial: a symbolic link, no plain file, another's, or open to others (`gateway-fault`).
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise Denial(Code.GATEWAY_FAULT, f"{path} is a symbolic link or no plain file; move it away")
    if found.st_uid != os.geteuid():
        raise Denial(Code.GATEWAY_FAULT, f"{path} belongs to another user; move it away")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Denial(Code.GATEWAY_FAULT, f"{path} is open to other users; run: chmod 600 {path}")
