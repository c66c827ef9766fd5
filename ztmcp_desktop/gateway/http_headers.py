"""Which headers a configuration may add to our requests to a remote server."""

import re

_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_OURS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "accept", "accept-encoding", "connection"}
    | {"transfer-encoding", "upgrade", "te", "trailer", "cookie", "expect", "proxy-authorization", "user-agent"}
)


def may_set(name: str, value: str) -> bool:
    """Whether a header that the person configured may go out: well-formed, and none that the transport itself sets."""
    lowered = name.lower()
    return (
        _FIELD.fullmatch(name) is not None
        and lowered not in _OURS
        and not lowered.startswith("mcp-")
        and not any(character in value for character in "\r\n\0")
    )
