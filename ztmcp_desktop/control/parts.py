"""What the control plane works with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ztmcp_desktop.control.configuration import Configuration
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.gateway.login.logins import Logins
from ztmcp_desktop.gateway.oauth.logins import ClientLogins
from ztmcp_desktop.policy.rules import Rules
from ztmcp_desktop.ports import (
    Catalogue,
    ClientBook,
    Clock,
    GrantBook,
    Ledger,
    Pairing,
    RuntimeResolver,
    Sandbox,
    StateStore,
    Timeline,
    Upstreams,
    Vault,
)
from ztmcp_desktop.settings import Home


class Flight(Protocol):
    """The calls that are being worked on."""

    def in_flight(self) -> int:
        """How many there are."""

    async def abort(self, which: Callable[[Call], bool]) -> None:
        """End those that match; returns when they are closed in the ledger."""


@dataclass(slots=True, kw_only=True)
class Front:
    """What is known of the process that serves: `port` is None where no endpoint listens.

    `open_page` shows the person a page in a browser; None where nobody would see it.
    """

    port: int | None = None
    screen: bool = False
    open_questions: Callable[[], int] = lambda: 0
    raise_window: Callable[[], None] | None = None
    open_page: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneParts:
    """All that the nouns need; `redact` is used on whatever goes to the ledger."""

    home: Home
    user_home: Path
    configuration: Configuration
    catalogue: Catalogue
    clients: ClientBook
    client_logins: ClientLogins
    pairing: Pairing
    grants: GrantBook
    rules: Rules
    vault: Vault
    state: StateStore
    ledger: Ledger
    timeline: Timeline
    upstreams: Upstreams
    logins: Logins
    sandbox: Sandbox
    runtimes: RuntimeResolver
    flight: Flight
    digester: Digester
    clock: Clock
    front: Front
    redact: Callable[[JsonObject], JsonObject]
    prune: Callable[[datetime], Awaitable[int]]
