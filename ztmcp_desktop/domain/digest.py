"""Keyed digests: no plain hash of unmasked content is written anywhere."""

import hashlib
import hmac

from ztmcp_desktop.domain.json import Json, canonical
from ztmcp_desktop.domain.names import Digest
from ztmcp_desktop.domain.sealed import Sealed


class Digester:
    """HMAC-SHA-256 (RFC 2104) under the installation key, 64 hexadecimal digits, apart for each purpose."""

    def __init__(self, key: Sealed[bytes]) -> None:
        if len(key.open()) < 32:  # noqa: PLR2004 - bytes of SHA-256
            raise ValueError("the installation key must have at least 32 bytes")
        self._key = key

    def of(self, purpose: str, value: Json) -> Digest:
        """The digest of `value`; the same value gives another digest for another `purpose`."""
        return self.of_encoded(purpose, canonical(value))

    def of_encoded(self, purpose: str, encoded: bytes) -> Digest:
        """The digest of the value whose canonical form is `encoded`."""
        message = purpose.encode() + b"\0" + encoded
        return Digest(hmac.new(self._key.open(), message, hashlib.sha256).hexdigest())

    def matches(self, digest: str, purpose: str, value: Json) -> bool:
        """Whether `digest` is that of `value`, compared in constant time."""
        return hmac.compare_digest(digest, self.of(purpose, value))
