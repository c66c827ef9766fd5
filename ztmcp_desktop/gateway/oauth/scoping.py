"""Holds a request to the scopes of its token."""

from ztmcp_desktop.domain.call import needed_right
from ztmcp_desktop.domain.client import Principal, Right, Rights
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import TokenId

# What the protocol itself has clients say; any other notification may make a server do something.
_HARMLESS = frozenset(
    {
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
    }
)


class InsufficientScope(Denial):
    """Refuses a request that its token's scopes do not reach; `needed` are all that it needs."""

    def __init__(self, needed: Rights, login: TokenId | None) -> None:
        super().__init__(Code.NOT_PERMITTED, "the token's scopes do not reach so far")
        self.needed = needed
        self.login = login


def require_right(principal: Principal, message: JsonObject) -> None:
    """Refuse a request or notification that needs a right that the token does not have."""
    method = message.get("method")
    if not isinstance(method, str):
        # The answer to a question that was put to this client in a call of its own.
        return
    needed = Right.READ if method in _HARMLESS else needed_right(method)
    if needed not in principal.rights:
        # Tokens replace each other, so what the client has is asked for again with what it lacks.
        raise InsufficientScope(principal.rights | {needed}, principal.login)
