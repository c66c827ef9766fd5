"""Somebody who listens, in tests: remembers what it was told."""

from dataclasses import dataclass, field

from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId, TokenId
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.gateway.key import Key

FILES = ServerName("files")


def principal(client: str) -> Principal:
    return Principal(client=ClientName(client), token=TokenId(client), session=SessionId(client))


@dataclass(eq=False)
class Ear:
    """With `stands_in` it is a stream of that conversation, without it a session."""

    client: str = "tests"
    era: Era = Era.LEGACY
    stands_in: Key | None = None
    server: ServerName = FILES
    wants: tuple[str, ...] = ("list_changed", "message", "custom", "complete")
    heard: list[tuple[str, JsonObject]] = field(default_factory=list)
    losses: list[Denial] = field(default_factory=list)

    @property
    def owner(self) -> Principal:
        return principal(self.client)

    @property
    def methods(self) -> list[str]:
        return [method.removeprefix("notifications/") for method, _ in self.heard]

    def hears(self, method: str, params: JsonObject) -> bool:
        return method.endswith(self.wants)

    def tell(self, method: str, params: JsonObject) -> None:
        self.heard.append((method, params))

    def lost(self, why: Denial) -> None:
        self.losses.append(why)
