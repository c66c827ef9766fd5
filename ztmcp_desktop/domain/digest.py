"""Keyed digests: no plain hash of unmasked content is written anywhere."""

import hmac

from ztmcp_desktop.domain.json import Json, canonical
from ztmcp_desktop.domain.names import Digest
from ztmcp_desktop.domain.sealed import Sealed

LONG_CHARS = 4096


class Digester:
    """HMAC-SHA-256 (RFC 2104) under the installation key, 64 hexadecimal digits, apart for each purpose."""

    def __init__(self, key: Sealed[bytes]) -> None:
        if len(key.open()) < 32:  # noqa: PLR2004 - bytes of SHA-256
            raise ValueError("the installation key must have at least 32 bytes")
        self._key = key

    def of(self, purpose: str, value: Json) -> Digest:
        """The digest of `value`; the same value gives another digest for another `purpose`."""
        if not _has_long_text(value):
            return self._keyed(purpose.encode() + b"\0" + canonical(value))
        # A long text goes in by a digest of its own, with its place: to write it as JSON costs thrice as much. They are
        # put in order, since that of keys says nothing.
        texts: list[list[str]] = []
        rest = self._shortened(value, "", texts)
        return self._keyed(purpose.encode() + b"\0\0" + canonical([rest, sorted(texts)]))

    def _shortened(self, value: Json, place: str, texts: list[list[str]]) -> Json:
        """`value` with `""` for each long text, whose place (RFC 6901) and digest are added to `texts`."""
        match value:
            case str() if len(value) > LONG_CHARS:
                texts.append([place, self._keyed(b"\0text\0" + value.encode("utf-8", "surrogatepass"))])
                return ""
            case list():
                return [self._shortened(item, f"{place}/{index}", texts) for index, item in enumerate(value)]
            case dict():
                return {
                    key: self._shortened(item, f"{place}/{key.replace('~', '~0').replace('/', '~1')}", texts)
                    for key, item in value.items()
                }
            case _:
                return value

    def _keyed(self, message: bytes) -> Digest:
        return Digest(hmac.digest(self._key.open(), message, "sha256").hex())

    def matches(self, digest: str, purpose: str, value: Json) -> bool:
        """Whether `digest` is that of `value`, compared in constant time."""
        return hmac.compare_digest(digest, self.of(purpose, value))


def _has_long_text(value: Json) -> bool:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            if len(found) > LONG_CHARS:
                return True
        elif isinstance(found, dict):
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
    return False
