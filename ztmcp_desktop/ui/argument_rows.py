"""Arguments as rows of (path, value), nothing left out, each value as exactly as a person can read it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.scan.hidden import visible

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_LITERAL = re.compile(r"\s*(?:true|false|null|-?\d[\d.eE+-]*|\(empty\)|\{\}|\[\]|\".*\")\s*", re.ASCII)
MAX_ROWS = 100_000


class Kind(Enum):
    """How a value is painted: text as it is, or a literal, which text cannot imitate."""

    TEXT = "text"
    LITERAL = "literal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value with the path to it; both are safe to paint."""

    path: str
    value: str
    kind: Kind = Kind.TEXT


def _step(untrusted_key: str) -> str:
    return f".{untrusted_key}" if _PLAIN_KEY.fullmatch(untrusted_key) else f"[{json.dumps(untrusted_key)}]"


def _leaves(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Depth first without recursion, so that no depth of nesting breaks the window."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting.extend((path + _step(key), value[key]) for key in reversed(value))
        elif isinstance(value, list) and value:
            waiting.extend((f"{path}[{index}]", value[index]) for index in range(len(value) - 1, -1, -1))
        else:
            yield path, value


def as_rows(value: Json) -> tuple[Row, ...]:
    """Every leaf of `value` in order. Text that looks like a literal stands in quotes.

    Raises:
        OverflowError: more leaves than `MAX_ROWS`, too many for a person to read.
    """
    rows: list[Row] = []
    for path, leaf in _leaves(value, ""):
        if len(rows) >= MAX_ROWS:
            raise OverflowError("more values than can be shown")
        name = visible(path.removeprefix(".")).replace("\n", "⟦U+000A⟧").replace("\t", "⟦U+0009⟧")
        rows.append(_row(name, leaf))
    return tuple(rows)


def _row(name: str, leaf: Json) -> Row:
    if isinstance(leaf, str):
        if leaf == "":
            return Row(path=name, value="(empty)", kind=Kind.LITERAL)
        shown = visible(leaf)
        return Row(path=name, value=json.dumps(shown, ensure_ascii=False) if _LITERAL.fullmatch(leaf) else shown)
    return Row(path=name, value=json.dumps(leaf), kind=Kind.LITERAL)
