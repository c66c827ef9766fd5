"""What SQL does, told from its parsed form; strings are never matched."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot import Dialect, Token, exp
from sqlglot.errors import SqlglotError

from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.scan.words import word_set

MAX_SQL_CHARS = 20_000
MAX_STATEMENTS = 50
MAX_NESTING = 60
FREE_STEPS = 2000
STEPS_A_TOKEN = 40
MAX_REMEMBERED = 64
DIALECTS = ("sqlite", "postgres", "mysql", "tsql")

# It logs the text of statements that it cannot parse, and what a call says is never logged.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

_ORDER = (Risk.READ, Risk.WRITE, Risk.UNKNOWN, Risk.DESTROY)
_QUERIES = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery, exp.Describe, exp.Transaction, exp.Rollback)
_HARMLESS_FUNCTIONS = {
    *(
        "CHANGES",
        "DATE",
        "DATETIME",
        "FORMAT",
        "GLOB",
        "IFNULL",
        "IIF",
        "INSTR",
        "JULIANDAY",
        "LIKELY",
        "LAST_INSERT_ID",
    ),
    *("LTRIM", "PRINTF", "QUOTE", "RTRIM", "STRFTIME", "TIME", "TOTAL", "TYPEOF", "UNHEX", "VERSION", "SQLITE_VERSION"),
    *("AGE", "TO_NUMBER", "CONCAT_WS", "JSON_OBJECT", "JSON_ARRAY", "JSON_ARRAY_LENGTH", "JSON_TYPE", "JSON_VALID"),
}
# Where dialects differ about what is text or remark and what is a statement: `#`, backslashes, dollar quotes, `--`
# without a space behind it, remarks in remarks.
_READ_DIFFERENTLY = re.compile(r"#|\\|\$\w*\$|--(?=\S)|/\*(?:(?!\*/).)*?/\*", re.DOTALL)
# Transact-SQL needs no semicolon: `SELECT 1 DELETE FROM t` is two statements, which the parser takes for a new name.
_BEGIN_STATEMENTS = word_set(
    "alter backup begin bulk checkpoint close commit create dbcc deallocate declare delete deny drop dump exec execute "
    "fetch goto grant if insert kill load merge open print raiserror reconfigure restore return revert revoke rollback "
    "save send set setuser shutdown throw truncate update updatetext use waitfor while writetext"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlVerdict:
    """The worst that the statements may do. Tables are `table` or `db.table`, lower case unless quoted, sorted.

    `verbs` are the kinds of statements, such as `SELECT` or `DROP`. `UNKNOWN` stands for what could not be parsed.
    """

    effect: Risk
    verbs: tuple[str, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table named."""
        return tuple(sorted({*self.reads, *self.writes}))


_UNKNOWN = SqlVerdict(effect=Risk.UNKNOWN, verbs=("UNKNOWN",))


def worst(risks: Iterator[Risk] | tuple[Risk, ...] | list[Risk]) -> Risk:
    """The most dangerous of them; reading where there is none. Unknown is worse than writing."""
    return max(risks, key=_ORDER.index, default=Risk.READ)


@lru_cache(maxsize=MAX_REMEMBERED)
def statements(untrusted_text: str, dialect: str | None = None) -> SqlVerdict:
    """What a text of one or more statements may do, in this sqlglot dialect or, without one, at worst in any of ours.

    Texts that are too long, too deep, too hard or not parsable are `UNKNOWN`; so are functions and commands that we do
    not know, and texts that one dialect cannot parse and another may read as other statements.
    """
    if len(untrusted_text) > MAX_SQL_CHARS or untrusted_text.count("(") > MAX_NESTING * 4 or "/*!" in untrusted_text:
        return _UNKNOWN
    if _depth(untrusted_text) > MAX_NESTING:
        return _UNKNOWN
    dialects = (dialect,) if dialect else DIALECTS
    verdicts = [v for name in dialects if (v := _parse(untrusted_text, name)) is not None]
    if not verdicts:
        return _UNKNOWN
    if len(verdicts) < len(dialects) and _READ_DIFFERENTLY.search(untrusted_text):
        verdicts.append(_UNKNOWN)
    return SqlVerdict(
        effect=worst([v.effect for v in verdicts]),
        verbs=_joined([v.verbs for v in verdicts]),
        reads=_joined([v.reads for v in verdicts]),
        writes=_joined([v.writes for v in verdicts]),
    )


def _joined(parts: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({item for part in parts for item in part}))


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


class _TooManySteps(Exception):  # noqa: N818 - nothing of sqlglot's, or the parser would go on
    """The parser went to and fro for too long."""


@lru_cache(maxsize=len(DIALECTS))
def _limited(name: str) -> type[Any]:
    """The parser of this dialect, which ends after so many steps for each token.

    Where something can be read in two ways it reads on in one, and then begins again with the other; behind a join
    without a condition, or in types in types, each of these doubles what all before it took.
    """

    class Limited(Dialect.get_or_raise(name).parser_class):  # type: ignore[misc]
        left = 0

        def parse(self, tokens: list[Token], sql: str) -> list[exp.Expr | None]:
            self.left = FREE_STEPS + STEPS_A_TOKEN * len(tokens)
            found: list[exp.Expr | None] = super().parse(tokens, sql)
            return found

        def _advance(self, times: int = 1) -> None:
            self.left -= 1
            if self.left < 0:
                raise _TooManySteps
            super()._advance(times)

    return Limited


def _parse(text: str, dialect: str) -> SqlVerdict | None:
    try:
        spoken = Dialect.get_or_raise(dialect)
        found = _limited(dialect)(dialect=spoken).parse(spoken.tokenize(text), text)
        parsed = [tree for tree in found if tree is not None]
        if not parsed or len(parsed) > MAX_STATEMENTS:
            return None if not parsed else _UNKNOWN
        judged = [_judge(tree) for tree in parsed]
    except _TooManySteps:
        return _UNKNOWN
    except (SqlglotError, RecursionError, ValueError):
        return None
    writes = {name for tree in parsed for name in _written(tree)}
    reads = {name for tree in parsed for name in _tables(tree)} - writes
    return SqlVerdict(
        effect=worst([risk for risk, _ in judged]),
        verbs=tuple(sorted({verb for _, verb in judged})),
        reads=tuple(sorted(reads)),
        writes=tuple(sorted(writes)),
    )


def _judge(tree: exp.Expr) -> tuple[Risk, str]:
    inner = [_effect(node) for node in tree.walk() if isinstance(node, (exp.DML, exp.DDL, exp.Command, exp.Drop))]
    functions = [_function(node) for node in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc, exp.NextValueFor)]
    hidden = [Risk.UNKNOWN] if any(_begins_statement(node) for node in tree.find_all(exp.Alias, exp.TableAlias)) else []
    copies = [Risk.WRITE] if tree.find(exp.Into) is not None else []
    return worst([_effect(tree), *inner, *functions, *hidden, *copies]), tree.key.upper()


def _begins_statement(named: exp.Expr) -> bool:
    """Whether a new name, not quoted, is a word with which another statement may begin."""
    name = named.args.get("alias") if isinstance(named, exp.Alias) else named.this
    return isinstance(name, exp.Identifier) and not name.quoted and name.this.lower() in _BEGIN_STATEMENTS


def _function(node: exp.Expr) -> Risk:
    return Risk.READ if str(node.this).upper() in _HARMLESS_FUNCTIONS else Risk.UNKNOWN


def _effect(node: exp.Expr) -> Risk:
    """What one node does by itself. A change of everything, or one that replaces, destroys."""
    match node:
        case exp.Drop() | exp.TruncateTable():
            sweeping = True
        case exp.Delete() | exp.Update():
            sweeping = not _narrow(node.args.get("where"))
        case exp.Merge() | exp.Alter():
            sweeping = node.find(exp.Drop) is not None
        case exp.Insert() | exp.Create():
            sweeping = bool(node.args.get("overwrite") or node.args.get("replace"))
        case exp.Select() if node.args.get("into"):
            sweeping = False
        case exp.Select() if not node.expressions and not node.args.get("from_"):
            return Risk.UNKNOWN
        case _:
            return Risk.READ if isinstance(node, _QUERIES) else Risk.UNKNOWN
    return Risk.DESTROY if sweeping else Risk.WRITE


def _narrow(where: exp.Expr | None) -> bool:
    """Whether a WHERE looks at any column: `1=1` does not."""
    return where is not None and where.find(exp.Column) is not None


def _written(tree: exp.Expr) -> Iterator[str]:
    for node in tree.walk():
        if isinstance(node, (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Drop, exp.Alter, exp.Create, exp.Into)):
            target = node.this.this if isinstance(node.this, exp.Schema) else node.this
            if isinstance(target, exp.Table):
                yield _name(target)
        elif isinstance(node, exp.TruncateTable):
            yield from (_name(table) for table in node.expressions if isinstance(table, exp.Table))


def _tables(tree: exp.Expr) -> Iterator[str]:
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and not _is_expression_name(table):
            yield _name(table)


def _name(table: exp.Table) -> str:
    parts = [part for part in table.parts if isinstance(part, exp.Identifier)]
    return ".".join(part.this if part.quoted else part.this.lower() for part in parts)


def _is_expression_name(table: exp.Table) -> bool:
    """Whether the name is that of a WITH around it. Inside its own body, unless recursive, it is the real table."""
    if table.args.get("db"):
        return False
    below: exp.Expr = table
    inside: exp.CTE | None = None
    above = table.parent
    while above is not None:
        if isinstance(below, exp.CTE) and isinstance(above, exp.With):
            inside = below
        clause = above if isinstance(above, exp.With) else above.args.get("with_")
        if isinstance(clause, exp.With):
            visible = clause.expressions
            if inside is not None and inside in clause.expressions and not clause.args.get("recursive"):
                visible = visible[: next(i for i, e in enumerate(visible) if e is inside)]
            if any(cte.alias_or_name.lower() == table.name.lower() for cte in visible):
                return True
            if isinstance(above, exp.With) and above.parent is not None:
                below, above = above.parent, above.parent.parent
                continue
        below, above = above, above.parent
    return False
