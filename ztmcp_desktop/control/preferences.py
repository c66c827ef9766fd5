"""The settings that the person changes in the window; each is written to the file and counts from the next start."""

from typing import Any
from urllib.parse import urlsplit

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs, wrong
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind

KEYS = ("patience_s", "port", "allowed_origins")
MAX_ORIGINS = 64


class Preferences:
    """The verbs `settings.show` and `settings.set`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts
        # What the gateway was built with: nothing reads the settings again while it runs.
        self._running = self._written()

    def verbs(self) -> Verbs:
        return {
            "settings.show": Verb(do=self.show),
            "settings.set": Verb(do=self.set, proposes=self._setting),
        }

    async def show(self, untrusted: JsonObject) -> JsonObject:
        """`settings` as written, `in_use` as the gateway runs with them, and `after_restart`, where the two differ."""
        Arguments.of(untrusted)
        written, in_use = self._written(), self._in_use()
        return {
            "settings": written,
            "in_use": in_use,
            "after_restart": [key for key in KEYS if written[key] != in_use[key]],
            "file": str(self._parts.home.config_file),
        }

    async def set(self, untrusted: JsonObject) -> JsonObject:
        """Writes what is given and leaves the rest; gives what `show` gives.

        Raises:
            Denial: a value does not fit (`schema-mismatch`), or the file cannot be written; nothing is changed then.
        """
        changes = _changes(untrusted)
        before = self._written()
        self._parts.configuration.change(changes)
        body = {key: value for key, value in self._written().items() if value != before[key]}
        if body:
            try:
                await self._record(body)
            except Denial:
                self._parts.configuration.change({key: before[key] for key in body})
                raise
        return await self.show({})

    async def _record(self, changed: JsonObject) -> None:
        await self._parts.ledger.append(
            Draft(
                kind=EntryKind.SETTINGS,
                method="set",
                subject=", ".join(changed),
                body=self._parts.redact({"to": changed}),
            )
        )

    async def _setting(self, untrusted: JsonObject) -> Widening | None:
        written = self._written()
        facts = tuple(
            (key, f"{_said(written[key])} → {_said(value)}")
            for key, value in _changes(untrusted).items()
            if value != written[key]
        )
        if not facts:
            return None
        return Widening(title="Change the settings", sentence="This counts from the next start.", facts=facts)

    def _written(self) -> dict[str, Any]:
        settings = self._parts.configuration.settings
        return {
            "patience_s": settings.patience_s,
            "port": settings.port,
            "allowed_origins": list(settings.allowed_origins),
        }

    def _in_use(self) -> dict[str, Any]:
        return {**self._running, "port": self._parts.front.port or self._running["port"]}


def _changes(untrusted: JsonObject) -> dict[str, Any]:
    arguments = Arguments.of(untrusted, *KEYS)
    changes: dict[str, Any] = {}
    if "patience_s" in untrusted:
        changes["patience_s"] = arguments.number("patience_s")
    if "port" in untrusted:
        port = arguments.number("port")
        if not port.is_integer():
            wrong("port must be a whole number")
        changes["port"] = int(port)
    if "allowed_origins" in untrusted:
        origins = arguments.texts("allowed_origins")
        if len(origins) > MAX_ORIGINS:
            wrong(f"at most {MAX_ORIGINS} origins are kept")
        for origin in origins:
            if not is_origin(origin):
                wrong(f"{origin[:64]!r} is no origin: one looks like https://app.example or http://localhost:5173")
        changes["allowed_origins"] = list(origins)
    return changes


def is_origin(untrusted: str) -> bool:
    """Whether a browser could send exactly this as `Origin`: scheme, host and perhaps a port, in small letters."""
    try:
        parts = urlsplit(untrusted)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not untrusted.isascii():
        return False
    if not all(sign.isalnum() or sign in ".-:[]" for sign in parts.netloc):
        return False
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return untrusted == f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
