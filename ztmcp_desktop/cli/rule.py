"""`ztmcp rule …`."""

import argparse
import json
from pathlib import Path
from typing import Any

from ztmcp_desktop.cli.connection import connected
from ztmcp_desktop.cli.later import not_yet
from ztmcp_desktop.cli.usage import DONE, FAILED, WRONG_USAGE, add_json, fail, guarded, show, show_json
from ztmcp_desktop.domain.denial import Code, Denial

MAX_RULE_BYTES = 256 * 1024


def register(commands: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these commands to the parser."""
    nouns = commands.add_parser("rule", help="what may be done, and what without asking").add_subparsers(
        dest="verb", metavar="VERB", required=True
    )
    listing = nouns.add_parser("list", help="every rule, the shipped ones too")
    adding = nouns.add_parser("add", help="check a Cedar file and use it; its id is the file's stem")
    adding.add_argument("file", metavar="FILE", type=Path)
    removing = nouns.add_parser("remove", help="forget a rule")
    removing.add_argument("id", metavar="ID")
    checking = nouns.add_parser("check", help="say what is wrong with a file, or with the rules in use")
    checking.add_argument("file", metavar="FILE", type=Path, nargs="?")
    explaining = nouns.add_parser("explain", help="what the rules say of one call")
    for option in ("client", "server", "tool"):
        explaining.add_argument(f"--{option}", required=True, metavar=option[0].upper())
    explaining.add_argument("--args", default="{}", metavar="JSON")
    preview = nouns.add_parser("preview", help="what a rule would have changed (not there yet)")
    preview.add_argument("file", metavar="FILE")
    for parser in (listing, checking, explaining):
        add_json(parser)
    for parser, do in (
        (listing, list_rules),
        (adding, add_rule),
        (removing, remove_rule),
        (checking, check_rules),
        (explaining, explain),
        (
            preview,
            lambda _arguments: not_yet("ztmcp rule preview", "for one call see: ztmcp rule explain"),
        ),
    ):
        parser.set_defaults(do=guarded(do))


def list_rules(arguments: argparse.Namespace) -> int:
    """`ztmcp rule list`."""
    with connected() as connection:
        rules = connection.ask("rule.list")["rules"]
    if arguments.json:
        show_json(rules)
        return DONE
    for rule in rules:
        show(f"// {rule['id']}{' (shipped)' if rule['shipped'] else ''}\n{rule['text'].strip()}\n")
    return DONE


def add_rule(arguments: argparse.Namespace) -> int:
    """`ztmcp rule add`."""
    text = _read(arguments.file)
    with connected() as connection:
        if problems := connection.ask("rule.check", {"text": text, "file": arguments.file.name})["problems"]:
            return fail("{line}: {message}".format(**problems[0]).join((f"{arguments.file}:", "")))
        added = connection.ask("rule.add", {"id": arguments.file.stem, "text": text})
    show(str(added["id"]))
    return DONE


def remove_rule(arguments: argparse.Namespace) -> int:
    """`ztmcp rule remove`."""
    with connected() as connection:
        connection.ask("rule.remove", {"id": arguments.id})
    show(f"Removed {arguments.id}.")
    return DONE


def check_rules(arguments: argparse.Namespace) -> int:
    """`ztmcp rule check`: exit status 1 if something is wrong."""
    asked = {"text": _read(arguments.file), "file": arguments.file.name} if arguments.file else {}
    with connected() as connection:
        checked = connection.ask("rule.check", asked)
    problems, edited = checked["problems"], checked.get("changed_outside", [])
    if arguments.json:
        show_json({"problems": problems})
    elif not problems:
        show(f"{arguments.file or 'Every rule'} is fine.")
        if edited:
            show(f"Edited by hand and not in use yet, which stops every call: {', '.join(edited)}; run: ztmcp reload")
    for problem in problems[:1]:
        fail(f"{arguments.file or problem['file']}:{problem['line']}: {problem['message']}")
    return FAILED if problems else DONE


def explain(arguments: argparse.Namespace) -> int:
    """`ztmcp rule explain`."""
    try:
        given = json.loads(arguments.args)
    except ValueError:
        return fail("--args is no JSON", WRONG_USAGE)
    asked = {"client": arguments.client, "server": arguments.server, "tool": arguments.tool, "args": given}
    with connected() as connection:
        explained = connection.ask("rule.explain", asked)
    if arguments.json:
        show_json(explained)
        return DONE
    if explained["code"]:
        verdict = f"refused ({explained['code']}): {explained['reason']}"
    elif not explained["permitted"]:
        verdict = "forbidden" if explained["forbidden"] else "not permitted"
    else:
        verdict = "permitted, the person is asked" if explained["asked"] else "permitted without asking"
    show(f"{verdict}; risk {explained['risk']}; rules {', '.join(explained['rules']) or 'none'}")
    return DONE


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        content = opened.read(MAX_RULE_BYTES + 1)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Denial(Code.NOT_PERMITTED, f"{file}: it is not UTF-8, from byte {error.start} on") from error
    if len(content) > MAX_RULE_BYTES:
        raise Denial(Code.TOO_LARGE, f"{file}: it is larger than {MAX_RULE_BYTES} bytes")
    return text
