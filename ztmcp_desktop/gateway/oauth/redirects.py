"""Where an answer of the authorization server may go."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

MAX_URI_CHARS = 2048
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(uri: str) -> bool:
    """Whether `uri` is plain http to this machine, the redirect of a native client (RFC 8252, 7.3)."""
    parts = _parts(uri)
    return parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS


def is_public(uri: str) -> bool:
    """Whether `uri` is https to a named host, which a client's document may list."""
    parts = _parts(uri)
    return parts is not None and parts.scheme == "https" and not _is_address(parts.hostname or "")


def allowed(registered: Iterable[str], untrusted_uri: str) -> bool:
    """Whether an answer may go to `untrusted_uri`: exactly a registered one, but for the port on this machine.

    RFC 9700, 2.1 (exact), and RFC 8252, 7.3 (the port, which a native client learns only when it listens).
    """
    if _parts(untrusted_uri) is None:
        return False
    known = tuple(registered)
    if untrusted_uri in known:
        return True
    if not is_loopback(untrusted_uri):
        return False
    wanted = _without_port(untrusted_uri)
    return any(is_loopback(uri) and _without_port(uri) == wanted for uri in known)


def host_of(uri: str) -> str:
    """The host with its port, as the person is shown it."""
    return urlsplit(uri).netloc


def _without_port(uri: str) -> tuple[str, str, str, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname or "", parts.path, parts.query


def _parts(uri: str) -> SplitResult | None:
    """The parts of an absolute URI that two readers cannot differ about, None for any other text."""
    if len(uri) > MAX_URI_CHARS or not uri.isascii() or not uri.isprintable() or set(uri) & set(' "<>\\^`{|}'):
        return None
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or port == 0 or parts.username is not None or parts.password is not None or "#" in uri:
        return None
    return parts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
