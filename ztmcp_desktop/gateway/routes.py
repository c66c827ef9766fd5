"""The addresses of the gateway, as a table: what is not in it is not there."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway.oauth.door import Request


class Guard(StrEnum):
    """What a request must show at an address."""

    TOKEN = "token"  # noqa: S105 - a kind of guard
    """A live token for the server that the address names."""

    OPEN = "open"
    """Nothing: it says nothing of what is behind it, and gives nothing."""

    PROOF = "proof"
    """What the specification of OAuth has instead of a token: a code, a refresh token, or the person."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the gateway. There is no other: what matches none is 404."""

    name: str
    pattern: re.Pattern[bytes]
    methods: frozenset[str]
    guard: Guard
    serve: Callable[[Request, ServerName], Awaitable[None]]


def fixed(name: str, path: str, method: str, guard: Guard, serve: Callable[[Request], Awaitable[None]]) -> Route:
    """A route at one address."""

    async def served(request: Request, _server: ServerName) -> None:
        await serve(request)

    return Route(name, re.compile(re.escape(path.encode())), frozenset({method}), guard, served)
