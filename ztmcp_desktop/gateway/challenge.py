"""What a remote server says when it wants a login, or a better one (RFC 6750, section 3; RFC 9728, section 5.1)."""

import re
from dataclasses import dataclass

from ztmcp_desktop.domain.denial import Code, Denial

MAX_CHALLENGE_CHARS = 8192
MAX_SCOPES = 64
UNAUTHORIZED, FORBIDDEN = 401, 403
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A scheme begins the header or follows a comma, and is followed by a blank; a parameter by an equals sign.
_SCHEME = re.compile(rf"(?:^|,)\s*({_WORD})(?:\s+(?!=)|\s*$)")
_PARAMETER = re.compile(rf"({_WORD})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|({_WORD}(?:[^\s,\"]*)?))")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a server's challenge asks for; all of it untrusted. None is what it does not say."""

    error: str = ""
    metadata: str | None = None
    scopes: tuple[str, ...] | None = None


class Challenge(Denial):
    """The refusal of a server that would answer somebody who is logged in, or has more rights."""

    def __init__(self, status: int, wish: Wish) -> None:
        super().__init__(Code.SERVER_UNAVAILABLE, "the server does not accept the credentials that it was given")
        self.status = status
        self.wish = wish


def challenge_of(status: int, untrusted: str) -> Challenge | None:
    """The challenge in an answer with this status and `WWW-Authenticate`, None where a login would change nothing."""
    wish = read_wish(untrusted)
    if status == UNAUTHORIZED or (status == FORBIDDEN and wish.error == "insufficient_scope"):
        return Challenge(status, wish)
    return None


def read_wish(untrusted: str) -> Wish:
    """What the first `Bearer` challenge of the header says; nothing where there is none."""
    if len(untrusted) > MAX_CHALLENGE_CHARS:
        return Wish()
    # Quoted texts are blanked first, so that one cannot pass for a scheme.
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: '"' + "x" * (len(found[0]) - 2) + '"', untrusted)
    schemes = [(found[1].lower(), found.start(1), found.end(1)) for found in _SCHEME.finditer(plain)]
    for index, (scheme, _, begins) in enumerate(schemes):
        if scheme == "bearer":
            ends = schemes[index + 1][1] if index + 1 < len(schemes) else len(untrusted)
            return _wish(untrusted[begins:ends])
    return Wish()


def _wish(untrusted: str) -> Wish:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(untrusted):
        value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), value)
    scope = found.get("scope")
    return Wish(
        error=found.get("error", ""),
        metadata=found.get("resource_metadata"),
        scopes=None if scope is None else read_scopes(scope),
    )


def read_scopes(untrusted: object) -> tuple[str, ...]:
    """The scopes in a text with blanks between, or in a list, each once; what is no scope is left out (RFC 6749)."""
    parts = untrusted.split() if isinstance(untrusted, str) else untrusted if isinstance(untrusted, list) else []
    fit = [part for part in parts if isinstance(part, str) and _SCOPE.fullmatch(part)]
    return tuple(dict.fromkeys(fit))[:MAX_SCOPES]
