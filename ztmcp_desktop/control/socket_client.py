"""Asking a running gateway through its control socket."""

import json
import socket

from ztmcp_desktop.control.socket_path import CONTROL, connect_to
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.settings import Home

SILENCE_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024**2
# A beat a second; an answer takes ten minutes at most.
MAX_LINES = 1200


class NoGateway(Exception):  # noqa: N818 - a state, not a fault
    """Nobody serves this home."""


def ask_gateway(home: Home, verb: str, arguments: JsonObject) -> JsonObject:
    """The gateway's answer. A gateway that is silent for 5 s counts as failed.

    Raises:
        NoGateway: there is none.
        Denial: it refused or failed, or what answers is not ours.
    """
    with _connect(home) as connection, connection.makefile("rwb") as lines:
        try:
            _read(lines.readline(MAX_ANSWER_BYTES))
            lines.write(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
            lines.flush()
            for _ in range(MAX_LINES):
                match _read(lines.readline(MAX_ANSWER_BYTES)):
                    case {"result": dict(result)}:
                        return result
                    case {"error": {"code": str(code), "reason": str(reason)}}:
                        raise Denial(Code(code), reason)
                    case {"waiting": True}:
                        continue
                    case _:
                        break
        except (OSError, ValueError) as error:
            raise Denial(
                Code.GATEWAY_FAULT, "the gateway did not answer; is it stuck? stop it and start again"
            ) from error
    raise Denial(Code.GATEWAY_FAULT, "the gateway's answer was not understood")


def _connect(home: Home) -> socket.socket:
    try:
        return connect_to(home.run, CONTROL, SILENCE_S)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoGateway from error
    except OSError as error:
        raise Denial(Code.GATEWAY_FAULT, f"the gateway cannot be reached: {error.strerror or error}") from error


def _read(line: bytes) -> JsonObject:
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("no object")  # noqa: TRY004 - treated as any other answer that is not understood
    return message
