"""`ztmcp status`, `lock`, `unlock`, `doctor`, `reload` and `demo`."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from ztmcp_desktop.cli.usage import DONE, FAILED, NOT_RUNNING, add_json, fail, guarded, show, show_json
from ztmcp_desktop.control.socket_client import NoGateway, ask_gateway
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.settings import find_home


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    for name, do, about in (
        ("status", status, "what runs, who may call, what is open"),
        ("doctor", doctor, "what works on this machine, and how to mend what does not"),
        ("lock", lock, "stop everything, until unlock"),
        ("unlock", unlock, "let calls pass again"),
        ("reload", reload, "use rules and settings that were edited by hand"),
        ("demo", demo, "a throw-away home with a server and a client, to see it work"),
    ):
        parser = commands.add_parser(name, help=about, description=about)
        parser.set_defaults(do=guarded(do))
        if name in {"status", "doctor"}:
            add_json(parser)


def status(arguments: argparse.Namespace) -> int:
    """`ztmcp status`."""
    try:
        answer = ask_gateway(find_home(), "status", {})
    except NoGateway:
        if arguments.json:
            show_json({"running": False})
        return fail("the gateway is not running; start it with: ztmcp, or: ztmcp run --headless", NOT_RUNNING)
    if arguments.json:
        show_json(answer)
    else:
        _print_status(answer)
    return DONE


def _print_status(answer: JsonObject) -> None:
    show(f"running     process {answer['pid']}, port {answer['port']}, version {answer['version']}")
    show(f"lock        {'LOCKED: nothing passes; ztmcp unlock' if answer['locked'] else 'open'}")
    if not answer["rules"]["work"]:
        show(f"rules       NOTHING IS ALLOWED: {answer['rules']['reason']}")
    show(f"questions   {answer['open_questions']}")
    show(f"clients     {', '.join(answer['clients']) or 'none'}")
    for server in answer["servers"] or [
        {"name": "none", "approval": "add one with: ztmcp server add", "running": False}
    ]:
        show(f"server      {server['name']} ({server['approval']}{', running' if server['running'] else ''})")
    for part in ("keychain", "sandbox"):
        report = answer[part]
        show(f"{part:<11} {report['name'] if report['works'] else report['reason'] + ' ' + report['mend']}")
    for missing in answer["sandbox"]["missing"]:
        show(f"            missing: {missing}")


def doctor(arguments: argparse.Namespace) -> int:
    """`ztmcp doctor`: examines from here, so that it works when nothing else does."""
    from ztmcp_desktop.control.doctor import examine

    checks = asyncio.run(examine(find_home(), Path.home()))
    if arguments.json:
        show_json({"checks": checks})
    else:
        for check in checks:
            show(f"{'ok  ' if check['ok'] else 'BAD '} {check['name']:<13} {check['detail']}")
            if check["mend"]:
                show(f"{'':<19}→ {check['mend']}")
    needed = {"python", "installation", "folders", "settings", "keychain", "ledger", "sandbox", "disk"}
    return FAILED if any(not check["ok"] and check["name"] in needed for check in checks) else DONE


def lock(_arguments: argparse.Namespace) -> int:
    """`ztmcp lock`."""
    return _do("lock", "Locked: nothing passes until: ztmcp unlock")


def unlock(_arguments: argparse.Namespace) -> int:
    """`ztmcp unlock`."""
    return _do("unlock", "Unlocked.")


def reload(_arguments: argparse.Namespace) -> int:
    """`ztmcp reload`."""
    return _do("reload", "Rules and settings are as on disk; the port and times count from the next start.")


def _do(verb: str, said: str) -> int:
    from ztmcp_desktop.cli.connection import connected

    with connected() as connection:
        connection.ask(verb)
    show(said)
    return DONE


def demo(_arguments: argparse.Namespace) -> int:
    """`ztmcp demo`."""
    from ztmcp_desktop.cli import demo as play

    sys.stdout.flush()
    return play.run()
