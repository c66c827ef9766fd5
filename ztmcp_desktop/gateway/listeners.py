"""Who hears what servers say outside of calls: sessions and streams, and what each has subscribed to."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ztmcp_desktop.domain.call import Subscriber
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import LISTS, UPDATED
from ztmcp_desktop.gateway.key import Key

MAX_RESOURCES = 64
MAX_STREAMS_A_CLIENT = 16
_BELOW = "/?#"


class Listener(Subscriber, Protocol):
    """A subscriber as the gateway knows it."""

    @property
    def owner(self) -> Principal:
        """Whose it is."""

    @property
    def server(self) -> ServerName:
        """The one server that it hears."""

    @property
    def era(self) -> Era:
        """How it is spoken to."""

    @property
    def stands_in(self) -> Key | None:
        """The conversation with which it ends; None for a session, which outlives all of them."""

    def hears(self, method: str, params: JsonObject) -> bool:
        """Whether it wants this notification, which is about no single resource."""

    def lost(self, why: Denial) -> None:
        """What it stood in is over, or it may hear nothing any more."""


class Listeners:
    """All listeners. What one hears never depends on another, but that a resource is subscribed to once for all."""

    def __init__(self) -> None:
        self._present: dict[Listener, None] = {}
        # For each conversation and resource who wants it, and whether that one named it just so.
        self._wishes: dict[Key, dict[str, dict[Listener, bool]]] = {}
        self.on_unwanted: Callable[[Key, str], None] = lambda _key, _uri: None

    def join(self, listener: Listener) -> None:
        """From now on it may hear.

        Raises:
            Denial: its client has `MAX_STREAMS_A_CLIENT` streams already (`server-unavailable`).
        """
        if listener.stands_in is not None:
            held = Counter(other.owner.client for other in self._present if other.stands_in is not None)
            if held[listener.owner.client] >= MAX_STREAMS_A_CLIENT:
                reason = f"this client listens on {MAX_STREAMS_A_CLIENT} streams already; end one first"
                raise Denial(Code.SERVER_UNAVAILABLE, reason, Retry.LATER)
        self._present[listener] = None

    def leave(self, listener: Listener) -> None:
        """It hears nothing any more; what nobody else wants is given up at the server."""
        self._present.pop(listener, None)
        for key, uri in [(key, uri) for key, uris in self._wishes.items() for uri in uris if listener in uris[uri]]:
            if not self.withdraw(key, uri, listener):
                self.on_unwanted(key, uri)

    def wish(self, key: Key, uri: str, listener: Listener, *, named: bool) -> None:
        """`listener` wants to hear of `uri`; `named` if it wrote the address just so, with no stand-in in it.

        Raises:
            Denial: it has left, or wants `MAX_RESOURCES` already (`too-large`).
        """
        if listener not in self._present:
            raise Denial(Code.WITHDRAWN, "who wanted to hear of it is gone")
        uris = self._wishes.setdefault(key, {})
        held = sum(1 for uris in self._wishes.values() for other in uris.values() if listener in other)
        if listener not in uris.get(uri, {}) and held >= MAX_RESOURCES:
            raise Denial(Code.TOO_LARGE, f"at most {MAX_RESOURCES} resources can be subscribed to at once")
        uris.setdefault(uri, {})[listener] = named

    def withdraw(self, key: Key, uri: str, listener: Listener) -> bool:
        """`listener` does not want it any more; True where others still do, or it never did."""
        wishes = self._wishes.get(key, {}).get(uri, {})
        if wishes.pop(listener, None) is None:
            return True
        if wishes:
            return True
        del self._wishes[key][uri]
        if not self._wishes[key]:
            del self._wishes[key]
        return False

    def wanted(self, key: Key) -> frozenset[str]:
        """The resources that this conversation must be subscribed to."""
        return frozenset(self._wishes.get(key, {}))

    def hearing(self, key: Key, method: str, params: JsonObject) -> list[tuple[Listener, bool]]:
        """Who hears what was said in the conversation of `key`, and whether each named the resource just so.

        A list that changed concerns every client of the server, since they see the same approved lists; all else only
        the client whose conversation it is, and a resource only who subscribed to it there.
        """
        if method == UPDATED:
            return self._hearing_of(key, params.get("uri"))
        return [
            (listener, False)
            for listener in self._present
            if listener.server == key.server
            and (method in LISTS or listener.owner.client == key.client)
            and listener.hears(method, params)
        ]

    def _hearing_of(self, key: Key, untrusted_uri: object) -> list[tuple[Listener, bool]]:
        if not isinstance(untrusted_uri, str):
            return []
        found: dict[Listener, bool] = {}
        for uri, wishes in self._wishes.get(key, {}).items():
            if uri == untrusted_uri:
                found |= wishes
            elif _is_part_of(uri, untrusted_uri):
                found = dict.fromkeys(wishes, False) | found
        return list(found.items())

    def present(self, listener: Listener) -> bool:
        """Whether it has not left."""
        return listener in self._present

    def lost(self, key: Key, why: Denial) -> None:
        """The conversation is over, and with it the streams that stood in it."""
        for listener in [listener for listener in self._present if listener.stands_in == key]:
            listener.lost(why)

    def end(self, client: ClientName | None, server: ServerName | None, why: Denial) -> None:
        """End the streams of a client and a server; None matches all. Sessions are told, and stay."""
        for listener in list(self._present):
            if client in {None, listener.owner.client} and server in {None, listener.server}:
                listener.lost(why)

    def all(self) -> tuple[Listener, ...]:
        """Everybody."""
        return tuple(self._present)


def _is_part_of(uri: str, other: str) -> bool:
    """Whether `other` may be a part of the resource at `uri`, of whose changes its subscribers are told as well."""
    return bool(uri) and other.startswith(uri) and (uri[-1] in _BELOW or other[len(uri)] in _BELOW)
