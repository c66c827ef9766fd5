"""`ztmcp secret …`."""

import argparse
import getpass
import sys
from typing import Any

from ztmcp_desktop.cli.connection import connected
from ztmcp_desktop.cli.usage import DONE, WRONG_USAGE, add_json, fail, guarded, show, show_json

MAX_VALUE = 64 * 1024


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    nouns = commands.add_parser("secret", help="secrets, kept in the keychain").add_subparsers(
        dest="verb", metavar="VERB", required=True
    )
    setting = nouns.add_parser("set", help="store a secret; the value comes from standard input or a prompt")
    listing = nouns.add_parser("list", help="the names of all secrets")
    removing = nouns.add_parser("remove", help="forget a secret")
    for parser in (setting, removing):
        parser.add_argument("name", metavar="NAME")
    setting.add_argument("value", nargs="*", action=_NoValue, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    add_json(listing)
    setting.set_defaults(do=guarded(set_secret))
    listing.set_defaults(do=guarded(list_secrets))
    removing.set_defaults(do=guarded(remove_secret))


class _NoValue(argparse.Action):
    """Refuses a value among the arguments, where other programs see it, and does not repeat it."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, values: object, _option: object = None
    ) -> None:
        if values:
            parser.error("the value comes from standard input or a prompt, never from an argument")


def set_secret(arguments: argparse.Namespace) -> int:
    """`ztmcp secret set`."""
    value = _value(arguments.name)
    if not value or len(value) > MAX_VALUE:
        return fail(f"the value must have 1 to {MAX_VALUE} characters", WRONG_USAGE)
    with connected() as connection:
        connection.ask("secret.set", {"name": arguments.name, "value": value})
    show(f"Stored {arguments.name} in the keychain.")
    return DONE


def _value(name: str) -> str:
    """From a prompt that shows nothing, or all of standard input but its last line end."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Value of {name}: ")
    return sys.stdin.read(MAX_VALUE + 2).removesuffix("\n").removesuffix("\r")


def list_secrets(arguments: argparse.Namespace) -> int:
    """`ztmcp secret list`."""
    with connected() as connection:
        names = connection.ask("secret.list")["names"]
    if arguments.json:
        show_json(names)
        return DONE
    for secret in names:
        show(f"{secret['name']:<24} {', '.join(secret['given_to']) or 'given to no server'}")
    if not names:
        show("No secret yet. Store one with: ztmcp secret set NAME")
    return DONE


def remove_secret(arguments: argparse.Namespace) -> int:
    """`ztmcp secret remove`."""
    with connected() as connection:
        connection.ask("secret.remove", {"name": arguments.name})
    show(f"Removed {arguments.name}.")
    return DONE
