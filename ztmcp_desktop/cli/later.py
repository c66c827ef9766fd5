"""What the contract names and is not there yet: it says so and fails."""

from typing import Any

from ztmcp_desktop.cli.usage import fail, guarded

_INSTEAD = "use a client that speaks Streamable HTTP: ztmcp client add NAME prints the address and the token"


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    bridge = commands.add_parser("bridge", help="stdio for clients that cannot speak HTTP (not there yet)")
    bridge.add_argument("server", metavar="SERVER")
    bridge.set_defaults(do=guarded(lambda _arguments: not_yet("ztmcp bridge", _INSTEAD)))


def not_yet(what: str, instead: str) -> int:
    """Say that `what` is not there yet and what to do instead; exit status 1."""
    return fail(f"{what} is not there yet, nothing was changed; {instead}")
