"""Which logins there are and which clients may use each; the tokens themselves are in the keychain."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.login.held import Held, pack, unpack
from ztmcp_desktop.ports import StateStore, Vault

RECORD = "logins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One server's login: where, for which address of the server, and who may use it with which scopes."""

    url: str
    issuer: str
    clients: dict[ClientName, tuple[str, ...]] = field(default_factory=dict)


class Book:
    """Logins by server. The record is under our HMAC; what is secret is in the keychain, by server and issuer."""

    def __init__(self, state: StateStore, vault: Vault) -> None:
        self._state = state
        self._vault = vault
        self._entries: dict[ServerName, Entry] | None = None
        self._held: dict[ServerName, Held] = {}

    def entry(self, server: ServerName, url: str) -> Entry | None:
        """The login of this server, None where there is none for this very address of it."""
        found = self._all().get(server)
        return found if found is not None and found.url == url else None

    def now(self, server: ServerName, url: str) -> Held | None:
        """What was read of the keychain already."""
        found = self._held.get(server)
        return found if found is not None and found.url == url else None

    async def held(self, server: ServerName, url: str) -> Held | None:
        """The login, None where there is none for this very address and issuer. Raises as `Vault.read`."""
        entry = self.entry(server, url)
        if entry is None:
            return None
        if (found := self.now(server, url)) is None:
            found = unpack(await self._vault.read(_vault_name(server, entry.issuer)))
            if found.url != url or found.issuer != entry.issuer:
                raise Denial(Code.GATEWAY_FAULT, "a login in the keychain is another server's; log out and in again")
            self._held[server] = found
        return found

    async def keep(self, server: ServerName, held: Held) -> None:
        """Keep a login, in the place of an earlier one. Another issuer's is forgotten, and who might use it."""
        old = self._all().get(server)
        await self._vault.write(_vault_name(server, held.issuer), pack(held))
        same = old is not None and (old.url, old.issuer) == (held.url, held.issuer)
        if old is None or not same:
            self._store({**self._all(), server: Entry(url=held.url, issuer=held.issuer)})
        if old is not None and old.issuer != held.issuer:
            await self._vault.remove(_vault_name(server, old.issuer))
        self._held[server] = held

    def let(self, server: ServerName, clients: Iterable[ClientName], scopes: tuple[str, ...]) -> None:
        """From now on these clients may use the login with these scopes."""
        entry = self._all()[server]
        let = {**entry.clients, **dict.fromkeys(clients, scopes)}
        if let != entry.clients:
            self._store({**self._all(), server: replace(entry, clients=let)})

    async def forget(self, server: ServerName) -> bool:
        """Drop the login; False if there was none."""
        entries = dict(self._all())
        entry = entries.pop(server, None)
        self._held.pop(server, None)
        if entry is None:
            return False
        self._store(entries)
        await self._vault.remove(_vault_name(server, entry.issuer))
        return True

    def forget_client(self, client: ClientName) -> None:
        """Whoever gets this name next has nobody's consent."""
        left = {
            server: replace(entry, clients={name: to for name, to in entry.clients.items() if name != client})
            for server, entry in self._all().items()
        }
        if left != self._all():
            self._store(left)

    def _all(self) -> dict[ServerName, Entry]:
        if self._entries is None:
            record = self._state.load(RECORD) or {}
            self._entries = {ServerName(name): _entry(row) for name, row in record.items()}
        return self._entries

    def _store(self, entries: dict[ServerName, Entry]) -> None:
        self._state.save(RECORD, {name: _row(entry) for name, entry in entries.items()})
        self._entries = entries


def _vault_name(server: ServerName, issuer: str) -> str:
    return f"login/{server}/{hashlib.sha256(issuer.encode()).hexdigest()[:32]}"


def _entry(row: JsonObject) -> Entry:
    clients = {ClientName(name): tuple(scopes) for name, scopes in row["clients"].items()}
    return Entry(url=row["url"], issuer=row["issuer"], clients=clients)


def _row(entry: Entry) -> JsonObject:
    return {
        "url": entry.url,
        "issuer": entry.issuer,
        "clients": {name: list(scopes) for name, scopes in entry.clients.items()},
    }
