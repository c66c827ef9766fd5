"""One-way masking of JSON for the ledger and the logs: what is sensitive becomes a label, for good."""

from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.scan.sensitive import find, occurs_in

MAX_INTEGER = 10**40


def label(kind: str) -> str:
    """What stands for a value of this kind, e.g. EMAIL, in single angle quotation marks."""
    return f"\u2039{kind}\u203a"


def redact_text(text: str, context: str = "") -> str:
    """`text` with every finding replaced by its label. `context` says what the text is, e.g. its JSON key."""
    pieces: list[str] = []
    done = 0
    for finding in find(text, context):
        pieces += (text[done : finding.start], label(finding.kind))
        done = finding.end
    return "".join((*pieces, text[done:])) if pieces else text


def redact(value: Json) -> Json:
    """`value` with every finding in its strings, keys and numbers replaced by its label; the same if there is none."""
    texts: list[str] = []
    if _is_json(value, texts) and not occurs_in(texts):
        return value
    return _redacted(value, "")


def _is_json(value: object, texts: list[str]) -> bool:
    """Whether `value` is JSON and nothing else; `texts` gets every text that it could be redacted in."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        # Told apart by `isinstance` in the order of how often they occur: the many small parts of a row pass here.
        if isinstance(found, str):
            texts.append(found)
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, dict):
            texts += found
            waiting += found.values()
        elif isinstance(found, int | float):
            if not isinstance(found, bool):
                texts.append(number_text(found))
        elif found is not None:
            return False
    return True


def _redacted(value: object, key: str) -> object:
    match value:
        case str():
            return redact_text(value, key)
        case None | bool():
            return value
        case int() | float():
            digits = number_text(value)
            return redact_text(digits, key) if find(digits, key) else value
        case list():
            return [_redacted(item, key) for item in value]
        case dict():
            return {redact_text(name): _redacted(item, name) for name, item in value.items()}
        case _:
            return label("UNKNOWN")


def number_text(value: int | float) -> str:  # noqa: PYI041 - told apart below
    """The digits of a number as a text to look through; a whole float reads like the integer it stands for."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < MAX_INTEGER else str(value)
    return str(value) if abs(value) < MAX_INTEGER else ""
