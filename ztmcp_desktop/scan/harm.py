"""How dangerous a call is, by its name, its annotations and what is in its arguments."""

from dataclasses import dataclass

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.scan.hosts import hosts_of
from ztmcp_desktop.scan.shell import command_signs
from ztmcp_desktop.scan.sql import statements, worst
from ztmcp_desktop.scan.verbs import SQL_WORDS, risk_of_name
from ztmcp_desktop.scan.words import MAX_STRINGS, Leaf, strings_of, word_set, words_of

MAX_SIGNS = 20
MAX_SQL_TEXTS = 20
MAX_SQL_CHARS = 60_000
MAX_SHOWN_CHARS = 40

_READING_METHODS = frozenset(
    {"resources/read", "resources/subscribe", "resources/unsubscribe", "prompts/get", "completion/complete"}
)
_LISTING_METHODS = frozenset(
    {"initialize", "server/discover", "ping", "logging/setLevel", "tools/list", "resources/list", "prompts/list"}
) | {"resources/templates/list", "subscriptions/listen", "roots/list"}
_SELECTOR_KEYS = frozenset({"action", "operation", "op", "command", "method", "verb", "subcommand", "mode"})
_SQL_KEYS = frozenset({"sql", "statement", "statements", "stmt"})
_SQL_STARTS = word_set(
    "select insert update delete drop truncate alter create merge with replace grant revoke attach copy call exec "
    "execute pragma explain values"
)
_FORCING = {"overwrite": Risk.DESTROY, "purge": Risk.DESTROY, "delete": Risk.DESTROY, "force": Risk.WRITE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """`effects` are short words such as `writes`; `signs` are sentences for the person that say how we know."""

    risk: Risk
    effects: tuple[str, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    risk: Risk
    effect: str
    sentence: str


_EFFECTS = {Risk.READ: "reads", Risk.WRITE: "writes", Risk.DESTROY: "destroys", Risk.UNKNOWN: "unknown effect"}


def assess(method: str, untrusted_item: JsonObject, untrusted_arguments: JsonObject) -> Assessment:
    """The worst of all signs. `untrusted_item` is the pinned tool; what it says of itself can only raise the risk.

    A tool whose name says nothing, and a method that we do not know, is `UNKNOWN`.
    """
    signs: list[_Sign] = []
    sql = _sql_signs(untrusted_item, untrusted_arguments)
    if method == "tools/call":
        signs += _name_signs(str(untrusted_item.get("name", "")), sql)
        signs += _annotation_signs(untrusted_item, worst([sign.risk for sign in signs]))
        signs += _argument_signs(untrusted_item, untrusted_arguments)
    elif method not in _READING_METHODS | _LISTING_METHODS:
        signs.append(
            _Sign(risk=Risk.UNKNOWN, effect="unknown effect", sentence="The gateway does not know this method.")
        )
    signs += sql
    if hosts := hosts_of(untrusted_arguments):
        more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
        sentence = f"The arguments name the host {hosts[0][:MAX_SHOWN_CHARS]}{more}."
        signs.append(_Sign(risk=Risk.READ, effect="reaches hosts", sentence=sentence))
    risk = worst([sign.risk for sign in signs])
    return Assessment(
        risk=risk,
        effects=tuple(dict.fromkeys([_EFFECTS[risk], *(sign.effect for sign in signs if sign.effect)])),
        signs=tuple(dict.fromkeys(sign.sentence for sign in signs if sign.sentence))[:MAX_SIGNS],
    )


def _name_signs(name: str, sql: list[_Sign]) -> list[_Sign]:
    words = words_of(name)
    risk, word = risk_of_name(words)
    if sql and risk is not Risk.DESTROY and not SQL_WORDS.isdisjoint(words):
        # "run_query" says only that the statement decides, and the statement was parsed.
        return []
    match risk:
        case Risk.READ:
            return [_Sign(risk=risk, effect="reads", sentence="")]
        case Risk.UNKNOWN if word:
            return [_Sign(risk=risk, effect="runs something", sentence=f"Its name says “{word}”: it may do anything.")]
        case Risk.UNKNOWN:
            return [_Sign(risk=risk, effect="unknown effect", sentence="Its name does not say what it does.")]
        case _:
            return [_Sign(risk=risk, effect=_EFFECTS[risk], sentence=f"Its name says “{word}”.")]


def _annotation_signs(item: JsonObject, by_name: Risk) -> list[_Sign]:
    hints = item.get("annotations")
    if not isinstance(hints, dict):
        return []
    found = []
    if hints.get("readOnlyHint") is True and by_name is not Risk.READ:
        found.append(
            _Sign(risk=Risk.READ, effect="", sentence="The server says that it only reads; its name does not.")
        )
    elif hints.get("readOnlyHint") is False:
        found.append(_Sign(risk=Risk.WRITE, effect="writes", sentence="The server says that it changes things."))
    if hints.get("destructiveHint") is True:
        found.append(_Sign(risk=Risk.DESTROY, effect="destroys", sentence="The server says that it may destroy."))
    if hints.get("openWorldHint") is True:
        found.append(
            _Sign(risk=Risk.READ, effect="reaches outside", sentence="The server says that it reaches outside.")
        )
    return found


def _argument_signs(item: JsonObject, arguments: JsonObject) -> list[_Sign]:
    found: list[_Sign] = []
    tool_words = words_of(str(item.get("name", "")))
    for key, value in arguments.items():
        if value is True and (forced := _FORCING.get("".join(words_of(key)))) is not None:
            found.append(_Sign(risk=forced, effect=_EFFECTS[forced], sentence=f"“{key[:MAX_SHOWN_CHARS]}” is set."))
    for count, leaf in enumerate(strings_of(arguments)):
        if count >= MAX_STRINGS:
            sentence = "The arguments are too many to be looked through."
            return [*found, _Sign(risk=Risk.UNKNOWN, effect="unknown effect", sentence=sentence)]
        if leaf.is_key:
            continue
        if leaf.key.lower() in _SELECTOR_KEYS:
            risk, word = risk_of_name(words_of(leaf.value))
            if word and risk is not Risk.READ:
                shown = leaf.key[:MAX_SHOWN_CHARS]
                found.append(_Sign(risk=risk, effect=_EFFECTS[risk], sentence=f"“{shown}” says “{word}”."))
        found += [
            _Sign(risk=risk, effect="runs a command", sentence=sentence)
            for risk, sentence in command_signs(leaf, tool_words)
        ]
    return found


def _is_sql(leaf: Leaf, tool_words: tuple[str, ...]) -> bool:
    """Whether to parse it as SQL: its name says so, or it begins like a statement where SQL may stand."""
    if leaf.is_key:
        return False
    if _is_named_sql(leaf):
        return True
    text = leaf.value.lstrip(" \t\r\n;(")
    begins = text.startswith(("--", "/*")) or not _SQL_STARTS.isdisjoint(words_of(text[:12])[:1])
    if not SQL_WORDS.isdisjoint(tool_words):
        return begins or leaf.key.lower() == "query"
    return begins and not leaf.prose and " " in text


def _is_named_sql(leaf: Leaf) -> bool:
    return not _SQL_KEYS.isdisjoint(leaf.words[-1:])


def sql_texts(tool: str, untrusted_arguments: JsonObject) -> tuple[str, ...]:
    """The strings in the arguments that are SQL. Words that merely begin like it are not.

    Where SQL must stand, by the tool's or the argument's name, text that cannot be understood is given too. More than
    `MAX_SQL_TEXTS` stand for too much to be understood: beyond `MAX_SQL_CHARS` nothing is parsed any more.
    """
    tool_words = words_of(tool)
    found: list[str] = []
    chars = 0
    for leaf in strings_of(untrusted_arguments):
        if not _is_sql(leaf, tool_words):
            continue
        chars += len(leaf.value)
        if chars > MAX_SQL_CHARS:
            return (*found, *[""] * (MAX_SQL_TEXTS + 1))
        expected = _is_named_sql(leaf) or not SQL_WORDS.isdisjoint(tool_words)
        if expected or statements(leaf.value).effect is not Risk.UNKNOWN:
            found.append(leaf.value)
        if len(found) > MAX_SQL_TEXTS:
            break
    return tuple(found)


def _sql_signs(item: JsonObject, arguments: JsonObject) -> list[_Sign]:
    texts = sql_texts(str(item.get("name", "")), arguments)
    if len(texts) > MAX_SQL_TEXTS:
        return [_Sign(risk=Risk.UNKNOWN, effect="unknown effect", sentence="There is too much SQL to be understood.")]
    risks = [statements(text).effect for text in texts]
    return [_Sign(risk=risk, effect=_EFFECTS[risk], sentence=_SQL_SENTENCES[risk]) for risk in risks]


_SQL_SENTENCES = {
    Risk.READ: "The SQL only reads.",
    Risk.WRITE: "The SQL changes rows or tables.",
    Risk.DESTROY: "The SQL deletes or replaces without limit.",
    Risk.UNKNOWN: "The SQL cannot be understood.",
}
