"""The command line: one parser, one module a noun."""

import argparse
from collections.abc import Sequence

from ztmcp_desktop import __version__
from ztmcp_desktop.cli import audit, bridge, client, gateway, rule, secret, server
from ztmcp_desktop.cli.usage import Parser

MAX_PORT = 65535


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for. Wrong usage ends the process with 2, `-h` with 0."""
    return make_parser().parse_args(_before_dashes(arguments))


def make_parser() -> Parser:
    """The whole command with all its parts."""
    parser = Parser(
        prog="ztmcp", description="Stands between AI clients and MCP servers. Without a command: the window."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--port", type=port, help="listen here instead of where the settings say")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser("run", help="the gateway alone, without a window")
    run.add_argument("--headless", action="store_true", required=True, help="import no Qt; nobody is asked")
    run.add_argument("--port", type=port, help="listen here instead of where the settings say")
    for noun in (gateway, server, client, secret, rule, audit, bridge):
        noun.register(commands)
    return parser


def port(text: str) -> int:
    """A TCP port from 1 to 65535."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {MAX_PORT}")
    return int(text)


def _before_dashes(arguments: Sequence[str]) -> list[str]:
    """`server add … -- COMMAND` with the command kept as it is: what follows `--` is the server's, not ours."""
    if "--" not in arguments or list(arguments[:2]) != ["server", "add"]:
        return list(arguments)
    at = arguments.index("--")
    return [*arguments[:at], server.COMMAND_FOLLOWS, *(f"{server.PART}{part}" for part in arguments[at + 1 :])]
