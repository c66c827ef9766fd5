"""`ztmcp client …`."""

import argparse
import re
from typing import Any

from ztmcp_desktop.cli.connection import connected
from ztmcp_desktop.cli.usage import DONE, add_json, guarded, show, show_json
from ztmcp_desktop.scan.hidden import visible

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LIFE = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    nouns = commands.add_parser("client", help="the AI clients that may call").add_subparsers(
        dest="verb", metavar="VERB", required=True
    )
    add = nouns.add_parser("add", help="make a client; prints its token, once")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--server", action="append", default=[], metavar="S", help="only this one; all approved otherwise")
    add.add_argument(
        "--expires", type=life_s, default="90d", metavar="90d", help="how long the token lives: s, m, h, d"
    )
    add.add_argument(
        "--program",
        default="",
        metavar="'PATH SCRIPT'",
        help="no token: this program, with its script if it is an interpreter, comes over `ztmcp bridge`",
    )
    add.add_argument(
        "--read-only", action="store_true", help="it may look at what the servers have, but not call tools"
    )
    pair = nouns.add_parser("pair", help="let programs register as clients for a few minutes")
    pair.add_argument("--for", type=life_s, default="5m", metavar="5m", dest="for_s", help="how long, an hour at most")
    pair.add_argument("--close", action="store_true", help="let them no longer")
    listing = nouns.add_parser("list", help="every client")
    revoke = nouns.add_parser("revoke", help="end a client, its token and its streams")
    revoke.add_argument("name", metavar="NAME")
    add_json(add)
    add_json(listing)
    add.set_defaults(do=guarded(add_client))
    listing.set_defaults(do=guarded(list_clients))
    pair.set_defaults(do=guarded(pair_clients))
    revoke.set_defaults(do=guarded(revoke_client))


def life_s(text: str) -> int:
    """Seconds, from a text like 90d."""
    found = _LIFE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("a time is a number with s, m, h or d, like 90d")
    return int(found[1]) * _UNITS[found[2]]


def add_client(arguments: argparse.Namespace) -> int:
    """`ztmcp client add`."""
    rights = ["read"] if arguments.read_only else ["read", "call"]
    asked = {
        "name": arguments.name,
        "servers": arguments.server,
        "expires_s": arguments.expires,
        "rights": rights,
    }
    if arguments.program:
        asked["program"] = arguments.program
    with connected() as connection:
        made = connection.ask("client.add", asked)
    if arguments.json:
        show_json(made)
        return DONE
    if arguments.program:
        show(f"{made['program']} may call {', '.join(made['servers'])} until {made['expires']}.")
        show("Let it start, in the place of the server: ztmcp bridge SERVER")
        return DONE
    for server, url in made["endpoints"].items():
        show(f"{server:<20} {url}")
    show(f"token                {made['token']}")
    show(f"expires              {made['expires']}")
    show("The token is not shown again. Send it as: Authorization: Bearer TOKEN")
    return DONE


def list_clients(arguments: argparse.Namespace) -> int:
    """`ztmcp client list`."""
    with connected() as connection:
        clients = connection.ask("client.list")["clients"]
    if arguments.json:
        show_json(clients)
        return DONE
    for client in clients:
        show(f"{client['name']:<20} {may_text(client)}")
        show(f"{'':<20} {since_text(client)}")
        if client["program"]:
            show(f"{'':<20} over the bridge: {client['program']}")
        for word, program in (("first", client["first_seen"]), ("last", client["last_seen"])):
            if program:
                place = f"{program['path']} {program['script']}".strip()
                show(f"{'':<20} {word} called from {visible(place)}, file {program['sha256'][:12]}")
    if not clients:
        show("No client yet. Make one with: ztmcp client add NAME")
    return DONE


def may_text(client: dict[str, Any]) -> str:
    """What a client may do, server by server: `files (read, call)`."""
    return ", ".join(f"{server} ({', '.join(rights)})" for server, rights in client["may"].items()) or "nothing"


def since_text(client: dict[str, Any]) -> str:
    """Since when, until when, and when it was seen last."""
    over = "expired" if client["kind"] in {"token", "bridge"} else "not logged in"
    end = f"until {client['expires']}" if client["live"] else over
    seen = f"last seen {client['last_seen_at']}" if client["last_seen_at"] else "never seen"
    return f"since {client['created']}, {end}, {seen}"


def pair_clients(arguments: argparse.Namespace) -> int:
    """`ztmcp client pair`."""
    with connected() as connection:
        left_s = connection.ask("client.pair", {"for_s": 0 if arguments.close else arguments.for_s})["left_s"]
    if left_s:
        show(f"Programs may register for {left_s} s. You are asked about each login.")
    else:
        show("Programs may no longer register.")
    return DONE


def revoke_client(arguments: argparse.Namespace) -> int:
    """`ztmcp client revoke`."""
    with connected() as connection:
        connection.ask("client.revoke", {"name": arguments.name})
    show(f"Revoked {arguments.name}.")
    return DONE
