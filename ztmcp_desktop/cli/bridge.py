"""`ztmcp bridge`: stdio for clients that cannot speak HTTP."""

import argparse
import os
import sys
from typing import Any

from ztmcp_desktop.cli.usage import DONE, FAILED, NOT_RUNNING, fail, guarded
from ztmcp_desktop.domain.names import NAME_RULE, is_name
from ztmcp_desktop.settings import find_home


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    about = "stdio for clients that cannot speak HTTP"
    bridge = commands.add_parser("bridge", help=about, description=about)
    bridge.add_argument("server", metavar="SERVER", type=_server)
    bridge.set_defaults(do=guarded(run))


def run(arguments: argparse.Namespace) -> int:
    """`ztmcp bridge SERVER`: for the client that starts it, this is the server."""
    from ztmcp_desktop.control.bridge_client import NotReached, answer_with, connect, pump

    try:
        connection = connect(find_home(), arguments.server)
    except NotReached as refused:
        status = fail(refused.why, FAILED if refused.running else NOT_RUNNING)
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as requests:
            answer_with(f"ztmcp: {refused.why}", requests)
        return status
    pump(connection)
    return DONE


def _server(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{NAME_RULE}")
    return text
