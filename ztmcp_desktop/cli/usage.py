"""Exit statuses, and how each command fails: one line on standard error."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import NoReturn

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible

DONE, FAILED, WRONG_USAGE, REFUSED, NOT_RUNNING = 0, 1, 2, 3, 4
_STATUS = {
    Code.SCHEMA_MISMATCH: WRONG_USAGE,
    Code.OUTSIDE_LIMITS: WRONG_USAGE,
    Code.REFUSED_BY_PERSON: REFUSED,
    Code.REFUSED_BY_RULE: REFUSED,
    Code.NO_ANSWER: REFUSED,
    Code.NOBODY_THERE: REFUSED,
}

Do = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Wrong usage is one line, and no abbreviation of an option is guessed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        kind, too_many, given = message.partition("unrecognized arguments: ")
        if too_many:
            # A value may be a secret in the wrong place: only names of options are repeated.
            options = [word.partition("=")[0] for word in given.split() if word.startswith("-")]
            message = kind + ("unknown option " + ", ".join(options) if options else "too many arguments")
        self.exit(WRONG_USAGE, f"{self.prog}: {one_line(message)}; see {self.prog} -h\n")


def guarded(do: Do) -> Do:
    """`do` with its denials as exit statuses (contract, Command)."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            return do(arguments)
        except Denial as denial:
            return fail(denial.reason, _STATUS.get(denial.code, FAILED))
        except OSError as error:
            return fail(f"{error.filename or 'it'}: {error.strerror or error}")
        except KeyboardInterrupt:
            return fail("interrupted; nothing more was done")

    return run


def fail(reason: str, status: int = FAILED) -> int:
    """Say why on standard error; gives `status`."""
    print(f"ztmcp: {one_line(reason)}", file=sys.stderr)
    return status


def one_line(text: str) -> str:
    """The text on one line, with nothing hidden in it."""
    return " ".join(visible(text).split())


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the plural where it is not one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show(text: str) -> None:
    """Print what may hold foreign text: every control character is visible."""
    print(visible(text))


def show_json(value: JsonObject | list[JsonObject]) -> None:
    """Print for programs."""
    print(json.dumps(value, indent=2))


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON")
