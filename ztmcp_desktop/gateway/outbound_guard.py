"""Where the gateway may go: addresses are read strictly, names resolved once, and all that they lead to is checked."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ztmcp_desktop.domain.denial import Code, Denial

MAX_URL_CHARS = 2048
MAX_HOST_CHARS = 253
MAX_ADDRESSES = 32
MAX_KNOWN = 512
DEFAULT_PORTS = {"https": 443, "http": 80}
# RFC 3986 without user, fragment, and whatever a shell, a header or another parser could take for something else.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?)"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
Lookup = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]
"""A question to the system's resolver, as `getaddrinfo` answers it."""


class Place(Enum):
    """What is at an address, as far as the address says."""

    PUBLIC = "a public address"
    HERE = "this machine itself"
    PRIVATE = "a private network"
    NOWHERE = "an address that has a special use"


# IANA, special-purpose address registries, 2026. What is left over in them is nobody's business of ours.
_HERE = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1/128"))
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
# Services that tell a machine in a cloud its own secrets; link-local ones are refused anyway.
_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32")
)
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        # Teredo and its like, documentation, 6to4. Mapped, NAT64 and local ones lie outside of what is routed.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
_ROUTED_6 = ipaddress.ip_network("2000::/3")
# The end of an address that carries one of IPv4 (ISATAP, RFC 5214).
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def place(address: Ip) -> Place:
    """What is at this address. Addresses that carry another one in them are never gone to."""
    if _within(address, _METADATA):
        return Place.NOWHERE
    if _within(address, _HERE):
        return Place.HERE
    if _within(address, _PRIVATE):
        return Place.PRIVATE
    if _within(address, _SPECIAL):
        return Place.NOWHERE
    if isinstance(address, ipaddress.IPv6Address):
        carries = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
        return Place.NOWHERE if carries or address not in _ROUTED_6 else Place.PUBLIC
    return Place.PUBLIC


def _within(address: Ip, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an address that somebody names may lead, beyond https to public addresses.

    `here`: to this machine, over http too. `hosts`: to these addresses of a private network.
    """

    here: bool = False
    hosts: frozenset[str] = frozenset()


PUBLIC = Reach()
"""For what a stranger names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address that was read: where it leads, and just what is asked for there. `ip` is None for a name."""

    scheme: str
    host: str
    port: int
    url: URL
    ip: Ip | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port (RFC 6454)."""
        return self.scheme, self.host, self.port

    @property
    def place(self) -> Place | None:
        """What is there, None where only the resolver can say."""
        if self.ip is not None:
            return place(self.ip)
        return Place.HERE if self.host == "localhost" else None


@lru_cache(MAX_KNOWN)
def read(untrusted: str) -> Target:
    """The address in one spelling.

    Raises:
        Denial: it is none of http or https in plain ASCII, holds a user or a fragment, or writes its host in a way
            that programs read differently (`server-unavailable`).
    """
    found = _URL.fullmatch(untrusted) if len(untrusted) <= MAX_URL_CHARS else None
    if found is None:
        raise _refused("it is no plain https address")
    scheme, host = found["scheme"], found["host"].lower()
    port = int(found["port"] or DEFAULT_PORTS[scheme])
    if not 0 < port <= 65535:  # noqa: PLR2004 - the ports that there are
        raise _refused("it has no such port")
    ip = _literal(host)
    host = host if ip is None else str(ip)
    url = URL(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{found['rest'] or '/'}", encoded=True)
    if url.raw_host != host or url.port != port:
        raise _refused("it can be read in two ways")
    return Target(scheme=scheme, host=host, port=port, url=url, ip=ip)


def _literal(host: str) -> Ip | None:
    """The address that the host is, None for a name."""
    try:
        if host.startswith("["):
            return ipaddress.IPv6Address(host[1:-1])
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return ipaddress.IPv4Address(host)
    except ValueError:
        raise _refused("its host is written in an odd way") from None
    if len(host) > MAX_HOST_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused("its host is no name")
    return None


@lru_cache(MAX_KNOWN)
def own_reach(configured: str) -> Reach:
    """How far a server's own address leads, as the person wrote it, and so what that server may name in turn.

    A name gives nothing: whoever answers for it may let it lead to another address tomorrow.
    """
    match (target := read(configured)).place:
        case Place.HERE:
            return Reach(here=True)
        case Place.PRIVATE:
            return Reach(hosts=frozenset({target.host}))
        case _:
            return PUBLIC


@lru_cache(MAX_KNOWN)
def admit(untrusted: str, reach: Reach) -> Target:
    """The address, if it may be gone to as far as it says itself; for a name, `GuardedResolver` says the rest.

    Raises:
        Denial: it leads further than `reach`, is not encrypted, or as `read` (`server-unavailable`).
    """
    target = read(untrusted)
    match target.place:
        case Place.HERE if reach.here:
            return target
        case Place.PRIVATE if target.host in reach.hosts:
            found: Place | None = None
        case Place.PUBLIC | None:
            found = None
        case other:
            found = other
    if found is not None:
        raise _refused(f"it leads to {found.value}")
    if target.scheme != "https":
        raise _refused("another machine is reached over https only")
    return target


class GuardedResolver(AbstractResolver):
    """Names to addresses for the HTTP client, which connects to nothing but what this gives.

    All of a name's addresses must be public, or one odd one refuses it. `internal` are names for which the person
    said that they may be on a private network or on this machine. `localhost` is asked of nobody.
    """

    def __init__(self, internal: frozenset[str] = frozenset(), lookup: Lookup | None = None) -> None:
        self._internal = internal
        self._lookup = lookup or _system_lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Checked addresses of `host`.

        Raises:
            Denial: one of them is not to be gone to (`server-unavailable`).
            OSError: it has none.
        """
        if host == "localhost":
            return [_result(host, port, ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        found = await self._lookup(host, port)
        if not found:
            raise OSError("the name has no address")
        if len(found) > MAX_ADDRESSES:
            raise _refused("its name has too many addresses")
        addresses = [_address(info) for info in found]
        allowed = {Place.PUBLIC, Place.PRIVATE, Place.HERE} if host in self._internal else {Place.PUBLIC}
        for address in addresses:
            if place(address) not in allowed:
                raise _refused(f"its name leads to {place(address).value}; the setting internal_hosts may allow that")
        return [_result(host, port, address) for address in dict.fromkeys(addresses)]

    async def close(self) -> None:
        """Nothing is held."""


def _address(info: AddressInfo) -> Ip:
    # One with a zone (`fe80::1%eth0`) is link-local, and refused as that.
    return ipaddress.ip_address(str(info[4][0]))


def _result(host: str, port: int, address: Ip) -> ResolveResult:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004 - of IP
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=str(address), port=port, family=family, proto=0, flags=flags)


async def _system_lookup(host: str, port: int) -> Sequence[AddressInfo]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


def _refused(why: str) -> Denial:
    """The refusal of an address. It never quotes the address, which is a stranger's."""
    return Denial(Code.SERVER_UNAVAILABLE, f"an address is not gone to: {why}")
