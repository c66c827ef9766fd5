"""What `config.toml` means: text to settings and servers, each error with its line, nothing silently defaulted."""

import re
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import tomlkit
from tomlkit.exceptions import ParseError

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import NAME_RULE, SecretName, ServerName, is_name, is_secret_name
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.settings import Settings

LOCAL_KEYS = frozenset({"command", "env", "secret_env"})
REMOTE_KEYS = frozenset({"url", "headers", "secret_headers"})
COMMON_KEYS = frozenset({"folders", "limits", "argument_secrets", "mask_results"})
LIMIT_KEYS = frozenset(field.name for field in fields(Limits)) - {"folders"}
MAX_SERVERS = 256
# Nobody answers in less than the settling time of a dialog, and no port, count or size is negative.
_LEAST = {"port": 1, "patience_s": 1, "question_life_s": 1, "settle_ms": 700, "session_idle_s": 1}
_MOST = {"port": 65535, "patience_s": 600, "question_life_s": 600, "settle_ms": 10_000, "max_json_depth": 512}


_DOCUMENT = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/[A-Za-z0-9._~/-]+")


class Reader:
    """Reads one text; `file` is only named in errors."""

    def __init__(self, text: str, file: Path) -> None:
        self._text = text
        self._file = file

    def read(self) -> tuple[Settings, dict[ServerName, Server]]:
        """Settings and servers.

        Raises:
            Denial: something in it is unknown or wrong (`schema-mismatch`); the reason names file and line.
        """
        try:
            document = tomlkit.parse(self._text).unwrap()
        except ParseError as error:
            raise Denial(Code.SCHEMA_MISMATCH, f"{self._file}, line {error.line}: {error}") from error
        self._only(document, frozenset(Settings.__dataclass_fields__) | {"servers"}, ())
        servers = self._table(document, "servers", ())
        if len(servers) > MAX_SERVERS:
            self._wrong(("servers",), f"more than {MAX_SERVERS} servers")
        return (
            self._settings({key: value for key, value in document.items() if key != "servers"}),
            {ServerName(name): self._server(name, servers) for name in sorted(servers)},
        )

    def _settings(self, table: dict[str, Any]) -> Settings:
        kinds = get_type_hints(Settings)
        return Settings(**{key: self._setting(key, kinds[key], table[key]) for key in table})

    def _setting(self, key: str, kind: Any, value: Any) -> Any:  # noqa: ANN401 - a JSON-like value
        at = (key,)
        if isinstance(kind, type) and issubclass(kind, Enum):
            choices = [choice.value for choice in kind]
            if value not in choices:
                self._wrong(at, f"one of {', '.join(choices)} is expected")
            return kind(value)
        if kind in {int, float}:
            return self._number(at, kind, value)
        if kind is str:
            return self._address(at, value)
        return self._strings(at, value)

    def _address(self, at: tuple[str, ...], value: Any) -> str:  # noqa: ANN401
        """A public https address with a path, which is what may name a client (2026-07-28, client registration)."""
        if not isinstance(value, str) or (value and not _DOCUMENT.fullmatch(value)):
            self._wrong(at, "an address is expected that begins with https:// and has a path")
        return value

    def _number(self, at: tuple[str, ...], kind: type[int] | type[float], value: Any) -> int | float:  # noqa: ANN401
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
            self._wrong(at, "a number is expected")
        least, most = _LEAST.get(at[-1], 1), _MOST.get(at[-1], 2**53)
        if not least <= value <= most:
            self._wrong(at, f"a number from {least} to {most} is expected")
        return kind(value)

    def _server(self, name: str, servers: dict[str, Any]) -> Server:
        at = ("servers", name)
        if not is_name(name):
            self._wrong(at, NAME_RULE)
        table = self._table(servers, name, ("servers",))
        if ("command" in table) == ("url" in table):
            self._wrong(at, "either command or url is expected")
        self._only(table, COMMON_KEYS | (LOCAL_KEYS if "command" in table else REMOTE_KEYS), at)
        mask = table.get("mask_results", True)
        if not isinstance(mask, bool):
            self._wrong((*at, "mask_results"), "true or false is expected")
        return Server(
            name=ServerName(name),
            endpoint=self._local(at, table) if "command" in table else self._remote(at, table),
            limits=self._limits(at, table),
            argument_secrets=self._secret_names((*at, "argument_secrets"), table.get("argument_secrets", [])),
            mask_results=mask,
        )

    def _local(self, at: tuple[str, ...], table: dict[str, Any]) -> LocalCommand:
        argv = self._strings((*at, "command"), table["command"])
        if not argv or not argv[0]:
            self._wrong((*at, "command"), "a command is expected")
        return LocalCommand(
            argv=argv,
            env=self._pairs((*at, "env"), table.get("env", {})),
            secret_env=self._secret_pairs((*at, "secret_env"), table.get("secret_env", {})),
        )

    def _remote(self, at: tuple[str, ...], table: dict[str, Any]) -> RemoteUrl:
        if not isinstance(table["url"], str):
            self._wrong((*at, "url"), "a URL is expected")
        return RemoteUrl(
            url=table["url"],
            headers=self._pairs((*at, "headers"), table.get("headers", {})),
            secret_headers=self._secret_pairs((*at, "secret_headers"), table.get("secret_headers", {})),
        )

    def _limits(self, at: tuple[str, ...], table: dict[str, Any]) -> Limits:
        here = (*at, "limits")
        given = self._table(table, "limits", at)
        self._only(given, LIMIT_KEYS, here)
        kinds = get_type_hints(Limits)
        numbers = {key: self._number((*here, key), kinds[key], given[key]) for key in given}
        folders = self._strings((*at, "folders"), table.get("folders", []))
        return Limits(folders=tuple(self._folder((*at, "folders"), text) for text in folders), **numbers)  # type: ignore[arg-type]

    def _folder(self, at: tuple[str, ...], text: str) -> Folder:
        path, _, access = text.rpartition(":")
        if access not in set(Access) or not Path(path).is_absolute():
            self._wrong(at, f"an absolute path with :ro or :rw is expected, not {text!r}")
        return Folder(path=Path(path), access=Access(access))

    def _secret_names(self, at: tuple[str, ...], value: Any) -> tuple[SecretName, ...]:  # noqa: ANN401
        names = self._strings(at, value)
        if not all(is_secret_name(name) for name in names):
            self._wrong(at, "names of secrets are expected")
        return tuple(SecretName(name) for name in names)

    def _secret_pairs(self, at: tuple[str, ...], value: Any) -> tuple[tuple[str, SecretName], ...]:  # noqa: ANN401
        pairs = self._pairs(at, value)
        self._secret_names(at, [name for _, name in pairs])
        return tuple((key, SecretName(name)) for key, name in pairs)

    def _pairs(self, at: tuple[str, ...], value: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            self._wrong(at, "a table of texts is expected")
        return tuple((str(key), str(text)) for key, text in value.items())

    def _strings(self, at: tuple[str, ...], value: Any) -> tuple[str, ...]:  # noqa: ANN401
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            self._wrong(at, "a list of texts is expected")
        return tuple(value)

    def _table(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self._wrong((*at, key), "a table is expected")
        return value

    def _only(self, table: dict[str, Any], known: frozenset[str], at: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                self._wrong((*at, key), f"this key is not known; known are {', '.join(sorted(known))}")

    def _wrong(self, at: tuple[str, ...], what: str) -> NoReturn:
        where = ".".join(at)
        raise Denial(Code.SCHEMA_MISMATCH, f"{self._file}, line {line_of(self._text, at)}: {where}: {what}")


def line_of(text: str, at: tuple[str, ...]) -> int:
    """The line, from 1, where the key `at` stands; where its table stands if it is written in another form."""
    table: tuple[str, ...] = ()
    best = (0, 1)
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = _parts(header[1])
            here = table
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            here = (*table, *_parts(key[1]))
        else:
            continue
        if here == at[: len(here)] and len(here) > best[0]:
            best = (len(here), number)
    return best[1]


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
