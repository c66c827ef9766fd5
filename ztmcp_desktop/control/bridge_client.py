"""The bridge's side: a byte pump between a client's pipes and the gateway, after both have proved who they are.

Of the standard library alone, for it starts each time that a client starts.
"""

import contextlib
import json
import os
import socket
import threading
from typing import BinaryIO

from ztmcp_desktop.control import bridge_proof as proof
from ztmcp_desktop.control.bridge_proof import NoProof
from ztmcp_desktop.control.socket_path import BRIDGE, connect_to, is_ours
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.settings import Home

HANDSHAKE_S = 5.0
CHUNK_BYTES = 256 * 1024
MAX_MESSAGE_BYTES = 16 * 1024**2
MAX_ANSWERED = 1024
DENIED = -31001
_IN, _OUT = 0, 1


class NotReached(Exception):  # noqa: N818 - a state, not a fault
    """The gateway was not reached; `why` is for the person, `running` says whether something answered at all."""

    def __init__(self, why: str, *, running: bool) -> None:
        super().__init__(why)
        self.why = why
        self.running = running


def connect(home: Home, server: str) -> socket.socket:
    """A connection on which JSON-RPC with `server` may begin: the gateway has proved to be this home's.

    Raises:
        NotReached: it does not run, or what answers is not ours.
    """
    try:
        connection = connect_to(home.run, BRIDGE, HANDSHAKE_S)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotReached("the gateway is not running; start ztmcp", running=False) from None
    except Denial as denial:
        raise NotReached(denial.reason, running=True) from denial
    except OSError as error:
        raise NotReached(f"the gateway cannot be reached: {error.strerror or error}", running=True) from error
    try:
        _prove(connection, home, server)
    except (NoProof, Denial, OSError, UnicodeError) as error:
        connection.close()
        raise NotReached(
            f"what answers in {home.run} is not the gateway of this home, so nothing was sent to it ({error})",
            running=True,
        ) from error
    connection.settimeout(None)
    return connection


def _prove(connection: socket.socket, home: Home, server: str) -> None:
    if not is_ours(connection):
        raise NoProof("it belongs to another user")
    key, mine = proof.read_key(home.state), proof.new_nonce()
    connection.sendall(proof.written({"ztmcp-bridge": proof.VERSION, "nonce": mine}))
    answer = proof.read(_line(connection))
    theirs = proof.require_nonce(answer.get("nonce"))
    proof.require_proof(answer.get("proof"), key, "gateway", mine, theirs)
    said = {"server": server, "proof": proof.proof_of(key, "bridge", mine, theirs, server)}
    connection.sendall(proof.written(said))


def _line(connection: socket.socket) -> bytes:
    """One short line, and not a byte of what follows it."""
    line = bytearray()
    while len(line) < proof.MAX_LINE_BYTES and not line.endswith(b"\n"):
        got = connection.recv(1)
        if not got:
            break
        line += got
    return bytes(line)


def pump(connection: socket.socket) -> None:
    """Carry bytes both ways; returns when the gateway closes, or nobody reads what it says."""
    # Some clients hand out ends that do not wait, and then a large answer would be cut off.
    for end in (_IN, _OUT):
        os.set_blocking(end, True)
    threading.Thread(target=_upwards, args=(connection,), daemon=True).start()
    with contextlib.suppress(OSError):
        while got := connection.recv(CHUNK_BYTES):
            _write(got)
    connection.close()


def _upwards(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while got := os.read(_IN, CHUNK_BYTES):
            connection.sendall(got)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _write(content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(_OUT, rest) :]


def answer_with(why: str, requests: BinaryIO) -> None:
    """Answer every request of a client with an error that says `why`, until the client is done."""
    for _ in range(MAX_ANSWERED):
        line = requests.readline(MAX_MESSAGE_BYTES)
        if not line:
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and "method" in message and isinstance(message.get("id"), str | int):
            error = {"code": DENIED, "message": why, "data": {"code": Code.SERVER_UNAVAILABLE.value}}
            _write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode() + b"\n")
