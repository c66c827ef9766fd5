"""`ztmcp audit …`."""

import argparse
import asyncio
import sys
from dataclasses import asdict
from typing import Any

from ztmcp_desktop.cli.connection import connected
from ztmcp_desktop.cli.usage import DONE, FAILED, add_json, counted, fail, guarded, show, show_json
from ztmcp_desktop.control.socket_client import NoGateway, ask_gateway
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.settings import find_home

DEFAULT_ROWS = 50
MAX_PIECES = 100_000


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    nouns = commands.add_parser("audit", help="the record of what happened").add_subparsers(
        dest="verb", metavar="VERB", required=True
    )
    listing = nouns.add_parser("list", help="the newest entries")
    searching = nouns.add_parser("search", help="entries that hold a text")
    searching.add_argument("text", metavar="TEXT")
    showing = nouns.add_parser("show", help="all rows of one call")
    showing.add_argument("id", metavar="ID")
    verifying = nouns.add_parser("verify", help="check the whole chain and its signature")
    exporting = nouns.add_parser("export", help="every row, to standard output")
    exporting.add_argument("--format", choices=("jsonl", "csv"), required=True)
    pruning = nouns.add_parser("prune", help="leave out old rows, behind a signed checkpoint")
    pruning.add_argument("--before", required=True, metavar="DATE")
    for parser in (listing, searching):
        parser.add_argument("--limit", type=int, default=DEFAULT_ROWS, metavar="N")
    for parser in (listing, searching, exporting):
        for option in ("client", "server", "outcome"):
            parser.add_argument(f"--{option}", action="append", default=[], metavar=option[0].upper())
        parser.add_argument("--since", default="", metavar="DATE")
        parser.add_argument("--until", default="", metavar="DATE")
    for parser in (listing, searching, showing, verifying):
        add_json(parser)
    for parser, do in (
        (listing, list_items),
        (searching, list_items),
        (showing, show_entries),
        (verifying, verify),
        (exporting, export),
        (pruning, prune),
    ):
        parser.set_defaults(do=guarded(do))


def _filters(arguments: argparse.Namespace) -> JsonObject:
    return {
        "clients": arguments.client,
        "servers": arguments.server,
        "outcomes": arguments.outcome,
        "since": arguments.since,
        "until": arguments.until,
        "text": getattr(arguments, "text", ""),
    }


def _narrowed(arguments: argparse.Namespace) -> bool:
    return any(_filters(arguments).values())


def list_items(arguments: argparse.Namespace) -> int:
    """`ztmcp audit list` and `search`."""
    with connected() as connection:
        items = connection.ask("audit.list", {**_filters(arguments), "limit": arguments.limit})["items"]
    if arguments.json:
        show_json(items)
        return DONE
    if not items:
        show("No entry fits." if _narrowed(arguments) else "No entry yet.")
    for item in items:
        who = " → ".join(name for name in (item["client"], item["server"]) if name)
        verdict = item["code"] or item["outcome"] or ("open" if item["kind"] == "opened" else item["kind"])
        what = item["subject"] or item["method"]
        show(f"{item['seq']:>7} {item['at'][:19]} {verdict:<22} {who} {what}  {item['call']}")
    return DONE


def show_entries(arguments: argparse.Namespace) -> int:
    """`ztmcp audit show`."""
    with connected() as connection:
        entries = connection.ask("audit.show", {"id": arguments.id})["entries"]
    if arguments.json:
        show_json(entries)
        return DONE
    for entry in entries:
        for key, value in entry.items():
            if value != "":
                show(f"{key:<8} {value}")
        show("")
    return DONE


def verify(arguments: argparse.Namespace) -> int:
    """`ztmcp audit verify`: exit status 1 names the first bad row."""
    # Late, as all that needs the ledger's own code.
    from ztmcp_desktop.control.verifying import MEND

    found = _verification()
    if arguments.json:
        show_json(found)
    if found["bad_seq"] is not None or found["reason"]:
        where = f"row {found['bad_seq']}: " if found["bad_seq"] is not None else ""
        return fail(f"the ledger does not hold: {where}{found['reason']}; {MEND}", FAILED)
    if not arguments.json:
        beyond = f", {found['beyond_head']} of them newer than the copy of the head" if found["beyond_head"] else ""
        show(f"The ledger holds: {counted(found['rows'], 'row')}{beyond}.")
    return DONE


def _verification() -> JsonObject:
    """From the gateway that runs, else from the files: nothing can be assembled on a ledger that does not hold."""
    from ztmcp_desktop.control.verifying import verify_ledger

    home = find_home()
    if not home.ledger.exists():
        with connected() as connection:
            return connection.ask("audit.verify")
    try:
        return ask_gateway(home, "audit.verify", {})
    except NoGateway:
        return asdict(asyncio.run(verify_ledger(home)))


def export(arguments: argparse.Namespace) -> int:
    """`ztmcp audit export`."""
    with connected() as connection:
        piece = connection.ask("audit.export", {**_filters(arguments), "form": arguments.format})
        for _ in range(MAX_PIECES):
            sys.stdout.write(piece["text"])
            if not piece["more"]:
                sys.stdout.flush()
                return DONE
            piece = connection.ask("audit.export-more", {"export": piece["export"]})
    return fail("the export was too long; take a part of it with --since")


def prune(arguments: argparse.Namespace) -> int:
    """`ztmcp audit prune`."""
    with connected() as connection:
        removed = connection.ask("audit.prune", {"before": arguments.before})["removed"]
    show(f"Left out {counted(removed, 'row')}; a signed checkpoint says so.")
    return DONE
