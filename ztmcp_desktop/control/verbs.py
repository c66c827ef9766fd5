"""What a verb of the control plane is, and how its arguments are read."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import NAME_RULE, SecretName, is_name, is_secret_name

MAX_TEXT = 1024 * 1024
MAX_LIST = 1024
DEFAULT_PATIENCE_S = 5.0

Do = Callable[[JsonObject], Awaitable[JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing the plane can do.

    `proposes` says what the person is asked where there is a screen; it gives None when nothing is widened.
    `patience_s` is how long it may take, the person's time not counted.
    """

    do: Do
    proposes: Callable[[JsonObject], Awaitable[Widening | None]] | None = None
    patience_s: float = DEFAULT_PATIENCE_S


Verbs = Mapping[str, Verb]


@dataclass(frozen=True, slots=True)
class Arguments:
    """The untrusted arguments of a verb; each reader refuses what does not fit (`schema-mismatch`)."""

    untrusted: JsonObject
    known: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, untrusted: JsonObject, *known: str) -> "Arguments":
        """The arguments, refused if there are others than the `known` ones."""
        for key in untrusted:
            if key not in known:
                wrong(f"unknown argument {key!r}")
        return cls(untrusted, frozenset(known))

    def text(self, key: str, default: str | None = None) -> str:
        value = self.untrusted.get(key, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            wrong(f"{key} must be a text")
        return value

    def name(self, key: str = "name") -> str:
        value = self.text(key)
        if not is_name(value):
            wrong(f"{value[:64]!r} is no name: {NAME_RULE}")
        return value

    def secret_name(self, key: str = "name") -> SecretName:
        value = self.text(key)
        if not is_secret_name(value):
            wrong(f"{value[:64]!r} is no name of a secret: a letter, then up to 63 letters, digits, _ or -")
        return SecretName(value)

    def number(self, key: str, default: float | None = None) -> float:
        value = self.untrusted.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong(f"{key} must be a number")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.untrusted.get(key, [])
        if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(item, str) for item in value):
            wrong(f"{key} must be a list of texts")
        return tuple(value)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        value = self.untrusted.get(key, {})
        if not isinstance(value, dict) or len(value) > MAX_LIST:
            wrong(f"{key} must be an object of texts")
        if not all(isinstance(item, str) for item in value.values()):
            wrong(f"{key} must be an object of texts")
        return tuple(value.items())

    def object(self, key: str) -> JsonObject:
        value = self.untrusted.get(key, {})
        if not isinstance(value, dict):
            wrong(f"{key} must be an object")
        return value


def wrong(what: str) -> NoReturn:
    """Refuse arguments that do not fit."""
    raise Denial(Code.SCHEMA_MISMATCH, what)
