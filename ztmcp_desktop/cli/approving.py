"""`ztmcp server approve`: two looks, two yes's."""

import argparse
import sys

from ztmcp_desktop.cli.connection import Connection, connected
from ztmcp_desktop.cli.usage import DONE, REFUSED, fail, show
from ztmcp_desktop.domain.json import JsonObject

_START = "Start it once, confined, without network and secrets, to see what it offers?"
_CONNECT = "Connect to it once, without secrets, with your login if there is one, to see what it offers?"


def approve(arguments: argparse.Namespace) -> int:
    """Show the command with its limits, then what the server offers; each needs a yes."""
    with connected() as connection:
        # Where there is a window the questions are there, and neither --yes nor a terminal counts.
        elsewhere = bool(connection.ask("status")["screen"])
        return _two_steps(connection, arguments.name, asks=not (arguments.yes or elsewhere))


def _two_steps(connection: Connection, name: str, *, asks: bool) -> int:
    terms = connection.ask("server.terms", {"name": name})
    print_shown(terms)
    remote = terms["runtime"] is None
    if asks and not yes(_CONNECT if remote else _START):
        return fail(f"{name} was not approved", REFUSED)
    offered = connection.ask("server.approve-command", {"name": name, "digest": terms["digest"]})
    if not offered["answered"]:
        print_shown(offered)
        show(f"The {'address' if remote else 'command'} of {name} is approved. It did not answer: {offered['reason']}.")
        for line in offered["log"]:
            show(f"  | {line}")
        show(f"Nothing of it is offered until what it offers is approved: ztmcp server approve {name}")
        return DONE
    show("")
    print_shown(offered)
    if asks and not yes("Offer this to the clients of the server?"):
        return fail(f"what {name} offers was not approved", REFUSED)
    connection.ask("server.approve-offer", {"name": name, "digest": offered["digest"]})
    show(f"Approved {name}.")
    return DONE


def print_shown(shown: JsonObject) -> None:
    """The facts and warnings of something that wants a yes."""
    for label, value in shown["facts"]:
        for index, line in enumerate(str(value).splitlines() or [""]):
            show(f"{label if index == 0 else '':<28} {line}")
    for warning in shown["warnings"]:
        show(f"! {warning}")


def yes(question: str) -> bool:
    """Only `y` or `yes`, typed; the end of the input is a no."""
    print(f"{question} [y/N] ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print()
    return answer.strip().lower() in {"y", "yes"}
