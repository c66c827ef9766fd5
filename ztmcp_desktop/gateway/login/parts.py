"""What the gateway's logins stand on, and what each of their parts does alike."""

from collections.abc import Callable
from dataclasses import dataclass

from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.server import RemoteUrl, Server
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.ports import Clock, Ledger, Lockdown, PersonsWord, Redact, StateStore, Vault

ShowPage = Callable[[str], None]
"""Opens a page for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginParts:
    """The world of logins.

    `page` gives None where nobody could see one. `document` is the public address of the gateway's own metadata, empty
    if it has none.
    """

    http: HttpClient
    vault: Vault
    state: StateStore
    clock: Clock
    ledger: Ledger
    word: PersonsWord
    lockdown: Lockdown
    redact: Redact
    page: Callable[[], ShowPage | None]
    document: str = ""

    async def record(
        self,
        what: str,
        server: ServerName,
        clients: tuple[ClientName, ...],
        body: JsonObject,
        denial: Denial | None = None,
    ) -> None:
        """Write down what became of a login. Raises as `Ledger.append`."""
        reason = {"reason": denial.reason} if denial else {}
        await self.ledger.append(
            Draft(
                kind=EntryKind.SERVER,
                client=clients[0] if len(clients) == 1 else "",
                server=server,
                method=what,
                subject=server,
                outcome=Outcome.DENIED if denial else Outcome.ALLOWED,
                code=denial.code if denial else None,
                body=self.redact({**body, **reason, "clients": list(clients)}),
            )
        )


def address_of(server: Server) -> str:
    """The address that a login would be for; empty for local servers, and those whose credentials are a header."""
    match server.endpoint:
        case RemoteUrl(url=url, headers=headers, secret_headers=secret):
            names = {name.lower() for name, _ in (*headers, *secret)}
            return "" if "authorization" in names else url
        case _:
            return ""
