"""What the contract names and is not there yet: it says so and fails."""

from typing import Any

from ztmcp_desktop.cli.usage import fail, guarded


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    bridge = commands.add_parser("bridge", help="stdio for clients that cannot speak HTTP (not there yet)")
    bridge.add_argument("server", metavar="SERVER")
    bridge.set_defaults(do=guarded(lambda _arguments: not_yet("ztmcp bridge")))


def not_yet(what: str) -> int:
    """Say that `what` is not there yet; exit status 1."""
    return fail(f"{what} is not there yet; nothing was changed")
