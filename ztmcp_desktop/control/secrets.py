"""Secrets by name; their values go to the keychain and never come back."""

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs, wrong
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.ports import StateStore

RECORD = "secrets"
MAX_SECRETS = 256
MAX_VALUE = 64 * 1024
KEYCHAIN_S = 20.0


def vault_name(name: SecretName) -> str:
    """What the keychain calls the secret `name`."""
    return f"secret/{name}"


class SecretNames:
    """Which secrets there are."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def all(self) -> tuple[SecretName, ...]:
        """Every name, sorted. Raises as `StateStore.load`."""
        names = (self._state.load(RECORD) or {}).get("names", [])
        return tuple(SecretName(name) for name in sorted(names))

    def add(self, name: SecretName) -> None:
        """Remember the name.

        Raises:
            Denial: there are too many, or as `StateStore`.
        """
        names = set(self.all()) | {name}
        if len(names) > MAX_SECRETS:
            raise Denial(Code.NOT_PERMITTED, f"there are {MAX_SECRETS} secrets already; remove one first")
        self._state.save(RECORD, {"names": sorted(names)})

    def remove(self, name: SecretName) -> bool:
        """Forget the name; False if there was none. Raises as `StateStore`."""
        names = set(self.all())
        if name not in names:
            return False
        self._state.save(RECORD, {"names": sorted(names - {name})})
        return True


class Secrets:
    """The verbs `secret.list`, `secret.set` and `secret.remove`."""

    def __init__(self, parts: PlaneParts, names: SecretNames) -> None:
        self._parts = parts
        self._names = names

    def verbs(self) -> Verbs:
        return {
            "secret.list": Verb(do=self.list),
            "secret.set": Verb(do=self.set, patience_s=KEYCHAIN_S),
            "secret.remove": Verb(do=self.remove, patience_s=KEYCHAIN_S),
        }

    async def list(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {"names": [{"name": name, "given_to": list(self._given_to(name))} for name in self._names.all()]}

    async def set(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "name", "value")
        name, value = arguments.secret_name(), arguments.text("value")
        if not value or len(value) > MAX_VALUE or "\0" in value:
            wrong(f"the value must have 1 to {MAX_VALUE} characters and no NUL")
        # Named first: a value without a name could never be removed.
        self._names.add(name)
        await self._parts.vault.write(vault_name(name), Sealed(value))
        await self._record(name, "set")
        await self._restart(name)
        return {"name": name}

    async def remove(self, untrusted: JsonObject) -> JsonObject:
        name = Arguments.of(untrusted, "name").secret_name()
        if name not in self._names.all():
            raise Denial(Code.NOT_PERMITTED, f"there is no secret {name}; see: ztmcp secret list")
        await self._parts.vault.remove(vault_name(name))
        self._names.remove(name)
        await self._record(name, "remove")
        await self._restart(name)
        return {"name": name}

    def _given_to(self, name: SecretName) -> tuple[ServerName, ...]:
        return tuple(server.name for server in self._parts.configuration.all() if name in server.secret_names())

    async def _restart(self, name: SecretName) -> None:
        """Servers that hold the old value end; they start with the new one at their next call."""
        for server in self._given_to(name):
            await self._parts.upstreams.stop(server=server)

    async def _record(self, name: SecretName, what: str) -> None:
        await self._parts.ledger.append(Draft(kind=EntryKind.SECRET, method=what, subject=name))
