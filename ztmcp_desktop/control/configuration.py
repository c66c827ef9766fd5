"""The settings file: read whole or refused, changed with the person's comments kept."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit

from ztmcp_desktop.control.toml_reading import Reader
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.settings import Settings

MAX_FILE_BYTES = 1024 * 1024


class Configuration:
    """Settings and servers as they were read last; implements `ports.ServerBook`.

    A file that was edited by hand counts from the next `adopt` on, never by itself.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.settings, self._servers = self.read()

    def get(self, name: ServerName) -> Server:
        if name not in self._servers:
            raise Denial(Code.NOT_PERMITTED, f"there is no server {name}; see: ztmcp server list")
        return self._servers[name]

    def all(self) -> tuple[Server, ...]:
        return tuple(self._servers[name] for name in sorted(self._servers))

    def read(self) -> tuple[Settings, dict[ServerName, Server]]:
        """What the file says now; settings and servers as shipped if there is none.

        Raises:
            Denial: it cannot be read or something in it is wrong; the reason names file and line.
        """
        try:
            return Reader(self._text(), self._file).read()
        except Denial as denial:
            if denial.code is not Code.SCHEMA_MISMATCH:
                raise
            # The file is wrong, not what was asked for.
            raise Denial(Code.GATEWAY_FAULT, denial.reason) from denial

    def differences(self) -> tuple[tuple[str, str], ...]:
        """What was edited by hand since it was read, as (what, how it is now), for the person. Raises as `read`."""
        settings, servers = self.read()
        changed = [
            (f"setting {key}", f"{getattr(self.settings, key)} → {getattr(settings, key)}")
            for key in Settings.__dataclass_fields__
            if getattr(settings, key) != getattr(self.settings, key)
        ]
        changed += [
            (f"server {name}", str(servers[name].terms()) if name in servers else "removed")
            for name in sorted(set(servers) | set(self._servers))
            if servers.get(name) != self._servers.get(name)
        ]
        return tuple(changed)

    def adopt(self) -> None:
        """Use the file as it is now. Raises as `read`, and then nothing is changed."""
        self.settings, self._servers = self.read()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Write these settings into the file, its comments kept, and use them. What was edited by hand stays unused.

        Raises:
            Denial: a key or value does not fit (`schema-mismatch`), or as `read`; nothing is changed then.
        """
        document = self._document()
        for key, value in changes.items():
            document[key] = value
        settings, _ = Reader(tomlkit.dumps(document), self._file).read()
        self._write(document)
        self.settings = replace(self.settings, **{key: getattr(settings, key) for key in changes})

    def add(self, server: Server) -> None:
        """Write a server into the file and use it.

        Raises:
            Denial: the name is taken (`not-permitted`), or as `read`.
        """
        document = self._document()
        servers = document.setdefault("servers", tomlkit.table(is_super_table=True))
        if server.name in servers:
            raise Denial(Code.NOT_PERMITTED, f"there is a server {server.name} already; remove it first")
        servers[server.name] = _table(server)
        self._write(document)
        self._servers[server.name] = server

    def remove(self, name: ServerName) -> bool:
        """Take a server out of the file; False if there was none. Raises as `read`."""
        document = self._document()
        known = self._servers.pop(name, None) is not None
        if name in document.get("servers", {}):
            del document["servers"][name]
            self._write(document)
            return True
        return known

    def _document(self) -> tomlkit.TOMLDocument:
        """The file to change; refused when it is wrong, so that no error is written on."""
        self.read()
        return tomlkit.parse(self._text())

    def _text(self) -> str:
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise Denial(
                Code.GATEWAY_FAULT, f"{self._file} cannot be opened, or is a link: {error.strerror}"
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise Denial(Code.TOO_LARGE, f"{self._file} is larger than {MAX_FILE_BYTES} bytes")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Denial(Code.SCHEMA_MISMATCH, f"{self._file} is not UTF-8, from byte {error.start} on") from error

    def _write(self, document: tomlkit.TOMLDocument) -> None:
        text = tomlkit.dumps(document)
        Reader(text, self._file).read()
        replace_file(self._file, text.encode("utf-8"))


def replace_file(file: Path, content: bytes) -> None:
    """Put `content` in the place of `file`, whole and durable or not at all, readable by its owner only.

    Raises:
        Denial: it cannot be written (`gateway-fault`).
    """
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Denial(Code.GATEWAY_FAULT, f"{file} cannot be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _table(server: Server) -> tomlkit.items.Table:
    table = tomlkit.table()
    match server.endpoint:
        case LocalCommand(argv=argv, env=env, secret_env=secret_env):
            _put(table, "command", list(argv))
            _put(table, "env", dict(env))
            _put(table, "secret_env", dict(secret_env))
        case RemoteUrl(url=url, headers=headers, secret_headers=secret_headers):
            _put(table, "url", url)
            _put(table, "headers", dict(headers))
            _put(table, "secret_headers", dict(secret_headers))
    _put(table, "folders", [f"{folder.path}:{folder.access.value}" for folder in server.limits.folders])
    _put(table, "argument_secrets", list(server.argument_secrets))
    if not server.mask_results:
        table["mask_results"] = False
    shipped, limits = Limits(), server.limits
    numbers = [key for key in Limits.__dataclass_fields__ if key != "folders"]
    _put(
        table, "limits", {key: getattr(limits, key) for key in numbers if getattr(limits, key) != getattr(shipped, key)}
    )
    return table


def _put(table: tomlkit.items.Table, key: str, value: Any) -> None:  # noqa: ANN401 - a TOML value
    """Write `value` unless it is empty; small tables stand in one line."""
    if not value:
        return
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        value = inline
    table[key] = value
