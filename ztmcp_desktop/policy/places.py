"""In which line of a rule its mistake stands. Cedar says what is wrong and not where."""

import re
from collections.abc import Callable

# Each line and token tried is one more parse; in a longer statement the first line has to do.
MAX_LINES_TRIED = 60
MAX_TOKENS_TRIED = 600
MAX_STATEMENT = 8 * 1024
CUT_SHORT = "unexpected end of input"
_NAMED = re.compile(r"`([^`]+)`")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|\w+|[=!<>]=|&&|\|\||::|\S', re.DOTALL)
_COMMENT = re.compile(r"//[^\n]*")
# A line of a condition: what joins it to the others, the condition, what ends it.
_CONDITIONS = (
    re.compile(r"(\s*(?:when\b|unless\b|&&|\|\||[{(!\s])*)(.*?)((?:&&|\|\||[;})\s])*)"),
    re.compile(r"(\s*(?:when\b|unless\b|&&|\|\||[{\s])*)(.*?)((?:&&|\|\||[;}\s])*)"),
)

Check = Callable[[str], tuple[str, ...]]


def line_of_mistake(statement: str, message: str, check: Check) -> int:
    """The line, from 1, of `statement` where `message` comes from; its first line where that cannot be told.

    `check` gives Cedar's messages for a text.
    """
    lines = statement.split("\n")
    first = next((n for n, line in enumerate(lines, 1) if _COMMENT.sub("", line).strip()), 1)
    if len(statement) > MAX_STATEMENT:
        return first
    if "parse error" in message:
        return _unparsed(statement, check)
    return _condition(lines, message, check) or _named(lines, message) or first


def _unparsed(statement: str, check: Check) -> int:
    """The line of the first token after which no ending makes it right; up to there the text only lacks its end.

    Token by token: the parser recovers from a mistake, and some tokens later lacks only the end again.
    """
    end = 0
    tokens = [token for token in _TOKEN.finditer(statement) if not token[0].startswith("//")]
    for token in tokens[:MAX_TOKENS_TRIED]:
        end = token.end()
        errors = check(statement[:end])
        if any("parse error" in error and CUT_SHORT not in error for error in errors):
            break
    return statement.count("\n", 0, end) + 1


def _condition(lines: list[str], message: str, check: Check) -> int | None:
    """The line of a condition without which the message is gone."""
    for number, line in list(enumerate(lines))[:MAX_LINES_TRIED]:
        for pattern in _CONDITIONS:
            found = pattern.fullmatch(line)
            if found is None or not found[2]:
                continue
            errors = check("\n".join([*lines[:number], f"{found[1]}true{found[3]}", *lines[number + 1 :]]))
            if message not in errors and not any("parse error" in error for error in errors):
                return number + 1
    return None


def _named(lines: list[str], message: str) -> int | None:
    """The first line that holds, outside of comments, what the message names."""
    for name in _NAMED.findall(message):
        for number, line in enumerate(lines, 1):
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", _COMMENT.sub("", line)):
                return number
    return None
