"""What the answers of remote servers are taken for, before their bodies are read."""

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.gateway.challenge import challenge_of
from ztmcp_desktop.gateway.http_client import HttpAnswer


def kind_of(answer: HttpAnswer) -> str:
    """The media type, without its parameters."""
    return answer.header("Content-Type").partition(";")[0].strip().lower()


def is_stream(answer: HttpAnswer) -> bool:
    """Whether it is the stream of events that was asked for."""
    return answer.status == 200 and kind_of(answer) == "text/event-stream"  # noqa: PLR2004


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
