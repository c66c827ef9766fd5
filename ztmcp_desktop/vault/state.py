"""Our records on disk, each under an HMAC with a keychain key, so that a forged, swapped or older one refuses."""

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject, canonical
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.vault.folders import read_private, replace_private

MAX_NAME = 128
MAX_RECORDS = 4096
_INDEX = ".index"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    version: int
    record: JsonObject


class SealedState:
    """One JSON file a record (ports.StateStore). The index, a record too, holds each record's latest version.

    So a file that was edited, put under another name, put back from an earlier time, or deleted is refused. Putting
    back the whole folder with its index is not noticed after a restart.
    """

    def __init__(self, folder: Path, key: Sealed[bytes]) -> None:
        if len(key.open()) < _KEY_BYTES:
            raise ValueError("the state key must have at least 32 bytes")
        self._folder = folder
        self._key = key
        self._lock = threading.Lock()
        self._index: dict[str, int] | None = None

    def load(self, name: str) -> JsonObject | None:
        path = self._path(name)
        with self._lock:
            known = self._versions().get(name, 0)
            found = self._read(name)
        if found is None and known:
            raise Denial(Code.GATEWAY_FAULT, f"{path} is missing; put it back from a backup")
        if found is None:
            return None
        if found.version < known:
            raise Denial(Code.GATEWAY_FAULT, f"{path} is an older version; put back the newest from a backup")
        return found.record

    def save(self, name: str, record: JsonObject) -> None:
        """Replace the record at once and durably.

        Raises:
            Denial: it cannot be written, or there are too many records (`gateway-fault`). Then the old one stands,
                or the new one where only the index could not be written.
        """
        self._path(name)
        with self._lock:
            versions = self._versions()
            if name not in versions and len(versions) >= MAX_RECORDS:
                raise Denial(Code.GATEWAY_FAULT, f"{self._folder} has {MAX_RECORDS} records, which is the most")
            # A crash between the two writes leaves a record newer than the index says, which `load` takes.
            found = self._newest(name)
            version = max(versions.get(name, 0), found) + 1
            self._write(name, _Sealed(version=version, record=record))
            index = {**versions, name: version}
            self._write(_INDEX, _Sealed(version=sum(index.values()), record=index))
            self._index = index

    def _newest(self, name: str) -> int:
        try:
            found = self._read(name)
        except Denial:
            # The record is being replaced; what stood there need not be ours.
            return 0
        return found.version if found else 0

    def _versions(self) -> dict[str, int]:
        if self._index is None:
            found = self._read(_INDEX)
            if found is None and any(self._folder.glob("*.json")):
                raise Denial(
                    Code.GATEWAY_FAULT,
                    f"{self._file(_INDEX)} is missing; put it back from a backup, or move the records beside it away",
                )
            self._index = dict(found.record) if found else {}
        return self._index

    def _path(self, name: str) -> Path:
        if not 0 < len(name) <= MAX_NAME or name.startswith("."):
            raise Denial(Code.GATEWAY_FAULT, "a record's name is 1 to 128 characters and begins with no dot")
        return self._file(name)

    def _file(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.json"

    def _read(self, name: str) -> _Sealed | None:
        path = self._file(name)
        untrusted = read_private(path)
        if untrusted is None:
            return None
        try:
            outer = json.loads(untrusted)
            version, record, mac = outer["version"], outer["record"], outer["mac"]
            genuine = hmac.compare_digest(str(mac), self._mac(name, version, record))
        except (ValueError, TypeError, KeyError, RecursionError):
            genuine = False
        if not genuine:
            raise Denial(Code.GATEWAY_FAULT, f"{path} was not written by us; put it back from a backup")
        return _Sealed(version=version, record=record)

    def _write(self, name: str, sealed: _Sealed) -> None:
        outer = {
            "version": sealed.version,
            "record": sealed.record,
            "mac": self._mac(name, sealed.version, sealed.record),
        }
        replace_private(self._file(name), canonical(outer) + b"\n")

    def _mac(self, name: str, version: int, record: JsonObject) -> str:
        message = b"ztmcp state\0" + canonical({"name": name, "version": version, "record": record})
        return hmac.new(self._key.open(), message, hashlib.sha256).hexdigest()
