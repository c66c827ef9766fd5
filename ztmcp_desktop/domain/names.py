"""The identifiers of the domain, and what a name may look like."""

import re
from typing import NewType

ClientName = NewType("ClientName", str)
ServerName = NewType("ServerName", str)
SecretName = NewType("SecretName", str)
CallId = NewType("CallId", str)
SessionId = NewType("SessionId", str)
TokenId = NewType("TokenId", str)
GrantId = NewType("GrantId", str)
RuleId = NewType("RuleId", str)
Digest = NewType("Digest", str)

NAME_RULE = "a name is [a-z][a-z0-9-]{0,31} without two hyphens together"
_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,31}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)


def is_name(untrusted: str) -> bool:
    """Whether `untrusted` may name a client or a server."""
    return _NAME.fullmatch(untrusted) is not None


def is_secret_name(untrusted: str) -> bool:
    """Whether `untrusted` may name a secret: a letter, then up to 63 letters, digits, `_` or `-`."""
    return _SECRET.fullmatch(untrusted) is not None
