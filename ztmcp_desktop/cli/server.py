"""`ztmcp server …`."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from ztmcp_desktop.cli import login
from ztmcp_desktop.cli.approving import approve
from ztmcp_desktop.cli.connection import connected
from ztmcp_desktop.cli.later import not_yet
from ztmcp_desktop.cli.usage import DONE, WRONG_USAGE, add_json, fail, guarded, show, show_json
from ztmcp_desktop.domain.json import JsonObject

# What follows `--` is carried past argparse, which would take the server's own options for ours.
COMMAND_FOLLOWS = "--command-follows"
PART = "="
_ACCESS = {"ro": "read only", "rw": "read and write"}


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    nouns = commands.add_parser("server", help="the servers behind the gateway").add_subparsers(
        dest="verb", metavar="VERB", required=True
    )
    _register_add(nouns)
    login.register(nouns)
    approving = nouns.add_parser("approve", help="look at a server and what it offers, and say yes twice")
    approving.add_argument(
        "--yes", action="store_true", help="both yes's, for scripts; does not count where a window asks"
    )
    listing = nouns.add_parser("list", help="every server")
    showing = nouns.add_parser("show", help="one server in full")
    add_json(listing)
    add_json(showing)
    log = nouns.add_parser("log", help="what its processes wrote to standard error")
    add_json(log)
    removing = nouns.add_parser("remove", help="stop and forget a server")
    restarting = nouns.add_parser("restart", help="end its processes; the next call starts them")
    for parser in (approving, showing, log, removing, restarting):
        parser.add_argument("name", metavar="NAME")
    for parser, do in (
        (approving, approve),
        (listing, list_servers),
        (showing, show_server),
        (log, show_log),
        (removing, remove),
        (restarting, restart),
    ):
        parser.set_defaults(do=guarded(do))


def _register_add(nouns: Any) -> None:  # noqa: ANN401
    add = nouns.add_parser(
        "add",
        help="propose a server; it runs only after: ztmcp server approve NAME",
        usage="ztmcp server add NAME [OPTION …] -- COMMAND ARG …\n       ztmcp server add NAME --url URL [OPTION …]",
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("--env", action="append", default=[], metavar="K=V", help="a variable")
    add.add_argument("--secret", action="append", default=[], metavar="ENV=SECRET", help="a variable with a secret")
    add.add_argument("--argument-secret", action="append", default=[], metavar="SECRET", help="for {{secret:NAME}}")
    add.add_argument("--folder", action="append", default=[], metavar="PATH[:ro|:rw]", help="a folder; ro unless said")
    add.add_argument("--host", action="append", default=[], metavar="HOST[:PORT]", help="not there yet")
    add.add_argument("--table", action="append", default=[], metavar="[DB.]TABLE", help="not there yet")
    add.add_argument("--url", metavar="URL", help="a remote server")
    add.add_argument("--header", action="append", default=[], metavar="K: V", help="a header for a remote server")
    add.add_argument("--secret-header", action="append", default=[], metavar="K=SECRET", help="a header with a secret")
    add.add_argument("--unmasked", action="store_true", help="let personal data in results through as it is")
    add.add_argument(COMMAND_FOLLOWS, dest="argv", nargs=argparse.REMAINDER, default=[], help=argparse.SUPPRESS)
    add.set_defaults(do=guarded(add_server))


def add_server(arguments: argparse.Namespace) -> int:
    """`ztmcp server add`."""
    for option, given in (("--host", arguments.host), ("--table", arguments.table)):
        if given:
            return not_yet(f"the option {option}", "leave it out: a local server has no network, and only its folders")
    argv = [part.removeprefix(PART) for part in arguments.argv]
    if bool(argv) == bool(arguments.url):
        return fail("either -- COMMAND … or --url URL is expected; see ztmcp server add -h", WRONG_USAGE)
    try:
        proposed: JsonObject = {
            "name": arguments.name,
            "env": _pairs(arguments.env, "="),
            "secret_env": _pairs(arguments.secret, "="),
            "headers": _pairs(arguments.header, ":"),
            "secret_headers": _pairs(arguments.secret_header, "="),
            "argument_secrets": arguments.argument_secret,
            "folders": [_folder(text) for text in arguments.folder],
            "mask_results": not arguments.unmasked,
        }
    except ValueError as error:
        return fail(str(error), WRONG_USAGE)
    with connected() as connection:
        answer = connection.ask("server.add", {**proposed, **({"argv": argv} if argv else {"url": arguments.url})})
    for warning in answer["warnings"]:
        print(f"ztmcp: note: {warning}", file=sys.stderr)
    show(f"Proposed. Look at it and approve it with: ztmcp server approve {answer['name']}")
    return DONE


def _pairs(texts: list[str], between: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, found, value = text.partition(between)
        key = key.strip()
        if not found or not key or key in pairs:
            raise ValueError(f"{text.partition(between)[0][:64]!r}: NAME{between}VALUE is expected, each name once")
        pairs[key] = value.strip() if between == ":" else value
    return pairs


def _folder(text: str) -> list[str]:
    path, found, access = text.rpartition(":")
    if not found or access not in {"ro", "rw"}:
        path, access = text, "ro"
    if not path:
        raise ValueError(f"{text!r} names no folder")
    return [str(Path(path).expanduser().absolute()), access]


def list_servers(arguments: argparse.Namespace) -> int:
    """`ztmcp server list`."""
    with connected() as connection:
        servers = connection.ask("server.list")["servers"]
    if arguments.json:
        show_json(servers)
        return DONE
    for server in servers:
        where = server["url"] or " ".join(server["command"])
        show(f"{server['name']:<20} {server['approval']:<17} {where}")
    if not servers:
        show("No server yet. Propose one with: ztmcp server add NAME -- COMMAND")
    return DONE


def show_server(arguments: argparse.Namespace) -> int:
    """`ztmcp server show`."""
    with connected() as connection:
        server = connection.ask("server.show", {"name": arguments.name})
    if arguments.json:
        show_json(server)
        return DONE
    for label, text in _lines(server):
        show(f"{label:<10} {text}")
    for line in [*server["warnings"], *server["changes"]]:
        show(f"note       {line}")
    for tool in (server["offer"] or {}).get("tools", []):
        show(f"tool       {tool.get('name')}: {tool.get('description') or ''}")
    return DONE


def _lines(server: JsonObject) -> list[tuple[str, str]]:
    """What is known of a server, a line each."""
    runtime = server["runtime"] or {"argv": [], "mounts": [], "installed": []}
    return [
        *((key, str(server[key])) for key in ("name", "approval", "kind")),
        *([("command", shlex.join(server["command"]))] if server["command"] else []),
        *([("url", server["url"])] if server["url"] else []),
        *(("variable", f"{key}={value}") for key, value in server["env"].items()),
        *(("folder", f"{path} ({_ACCESS[access]})") for path, access in server["folders"]),
        *(("secret", f"{name} as {key}") for key, name in server["secrets"]),
        *([("runs as", shlex.join(runtime["argv"]))] if runtime["argv"] else []),
        *(("sees", f"{path} (read only)") for path in runtime["mounts"]),
        *(("installed", label) for label in runtime["installed"]),
        *([("login", _login(server["login"]))] if server["login"] else []),
    ]


def _login(login: JsonObject) -> str:
    return f"at {login['issuer']}, for {', '.join(login['clients']) or 'no client yet'}"


def show_log(arguments: argparse.Namespace) -> int:
    """`ztmcp server log`."""
    with connected() as connection:
        lines = connection.ask("server.log", {"name": arguments.name})["lines"]
    if arguments.json:
        show_json({"lines": lines})
        return DONE
    for line in lines:
        show(line)
    if not lines:
        show(f"Nothing is kept of what {arguments.name} wrote to standard error.")
    return DONE


def remove(arguments: argparse.Namespace) -> int:
    """`ztmcp server remove`."""
    with connected() as connection:
        connection.ask("server.remove", {"name": arguments.name})
    show(f"Removed {arguments.name}.")
    return DONE


def restart(arguments: argparse.Namespace) -> int:
    """`ztmcp server restart`."""
    with connected() as connection:
        connection.ask("server.restart", {"name": arguments.name})
    show(f"Stopped {arguments.name}; its next call starts it.")
    return DONE
