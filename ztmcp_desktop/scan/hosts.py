"""The hosts that arguments name."""

import re
from urllib.parse import urlsplit

from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.scan.words import strings_of

MAX_HOSTS = 256
MAX_URL_CHARS = 8192
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,30}://[^\s\"'<>`|]+")


def hosts_of(untrusted: Json) -> tuple[str, ...]:
    """Hosts of all URLs in the strings, lower case, without port, sorted; at most `MAX_HOSTS`."""
    found: set[str] = set()
    for leaf in strings_of(untrusted):
        if ":" not in leaf.value or "://" not in leaf.value:
            # Without it there is no URL; the pattern would try every word of a long text to find that out, and even
            # to look for three characters takes ten times as long as for one.
            continue
        for match in _URL.finditer(leaf.value):
            try:
                host = urlsplit(match.group()[:MAX_URL_CHARS].replace("\\", "/")).hostname
            except ValueError:
                host = None
            if host:
                found.add(host.rstrip("."))
            if len(found) >= MAX_HOSTS:
                return tuple(sorted(found))
    return tuple(sorted(found))
