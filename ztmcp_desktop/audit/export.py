"""Rows of the ledger as text for other programs, with nothing in them that acts when it is opened."""

import csv
import io
import json
import unicodedata

from ztmcp_desktop.audit.row import COLUMNS, Row
from ztmcp_desktop.domain.denial import Code, Denial

FORMS = ("jsonl", "csv")
_FORMULA = ("=", "+", "-", "@")


def header(form: str) -> bytes:
    """What stands before the first row.

    Raises:
        Denial: there is no such form (`not-permitted`).
    """
    match form:
        case "jsonl":
            return b""
        case "csv":
            return _csv_line(COLUMNS)
        case _:
            raise Denial(Code.NOT_PERMITTED, f"the ledger is exported as {' or '.join(FORMS)}")


def line(row: Row, form: str) -> bytes:
    """The row. JSON lines are ASCII and exact; CSV has formulas and control characters made harmless (OWASP)."""
    if form == "csv":
        return _csv_line([harmless(str(value)) for value in row.values()])
    members = {name: getattr(row, name) for name in COLUMNS}
    return json.dumps(members, ensure_ascii=True).encode("ascii") + b"\n"


def harmless(text: str) -> str:
    """The text with control, format and line characters written as escapes, and no formula at its beginning."""
    shown = "".join(char if _plain(char) else char.encode("unicode_escape").decode("ascii") for char in text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _plain(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _csv_line(values: tuple[str, ...] | list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode("utf-8", "replace")
