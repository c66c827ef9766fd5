"""What the answers of remote servers are taken for, before their bodies are read."""

import re

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.gateway.challenge import challenge_of
from ztmcp_desktop.gateway.http_client import HttpAnswer

_SESSION = re.compile(r"[\x21-\x7e]{1,256}")


def refuse_challenge(answer: HttpAnswer) -> None:
    """Stop where the server would answer somebody who is logged in.

    Raises:
        Challenge: with what it wants.
    """
    if challenge := challenge_of(answer.status, answer.header("WWW-Authenticate")):
        raise challenge


def refusal_of(status: int) -> Denial:
    """The refusal of an answer with this status."""
    match status:
        case 403:
            return Denial(Code.SERVER_UNAVAILABLE, "the server does not accept the credentials that it was given")
        case 429 | 502 | 503 | 504:
            return Denial(Code.SERVER_UNAVAILABLE, f"the server is busy (HTTP {status})", Retry.LATER)
        case _:
            return Denial(Code.SERVER_UNAVAILABLE, f"the server refuses the request (HTTP {status})")


def ended_early() -> Denial:
    """The refusal where an answer stopped before its end."""
    return Denial(Code.SERVER_UNAVAILABLE, "the server ended its answer early", Retry.LATER)


def session_of(answer: HttpAnswer) -> str:
    """The session that the server gave with this answer, empty if it gave none (2025-11-25, streamable HTTP).

    Raises:
        Denial: it is no session id (`server-unavailable`).
    """
    given = answer.header("Mcp-Session-Id")
    if given and not _SESSION.fullmatch(given):
        raise Denial(Code.SERVER_UNAVAILABLE, "the server's session id is none")
    return given
