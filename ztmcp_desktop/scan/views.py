"""Other readings of a text, each with the way back: folded to one byte a character, or with its escapes undone."""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

LETTER = "\xff"
OTHER = "\xa4"

# Characters without width or ink, which a number may be broken up with.
_WIDTHLESS = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef"
)
_HIDDEN = re.compile(f"[{_WIDTHLESS}]+")
_ESCAPE = re.compile(
    rf"%([0-9A-Fa-f]{{2}})|\\u00([0-9A-Fa-f]{{2}})|\\x([0-9A-Fa-f]{{2}})|&#x([0-9A-Fa-f]{{2}});|&#([0-9]{{2,3}});"
    rf'|(\\[nrtbf"/\\])|[{_WIDTHLESS}]+'
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_DECIMAL_GROUP = 5
_SHORT_GROUP = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A reading of a text. `data` has one byte a character, Latin-1; `steps` and `shifts` lead back to the text."""

    data: bytes
    steps: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()

    def origin(self, index: int) -> int:
        """Where in the text the character at `index` of `data` begins."""
        found = bisect_right(self.steps, index) - 1
        return index if found < 0 else index + self.shifts[found]


class _Folds(dict[int, str]):
    """A translation table that fills itself: compatible ASCII where there is any, else what sort of thing it is."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        plain = unicodedata.normalize("NFKC", char)
        category = unicodedata.category(char)
        if len(plain) == 1 and plain.isascii():
            folded = plain
        elif category == "Nd":
            folded = str(unicodedata.digit(char))
        elif category == "Pd" or char == "\u2212":
            folded = "-"
        else:
            folded = {"L": LETTER, "M": LETTER, "Z": " "}.get(category[0], OTHER)
        self[code] = folded
        return folded


_FOLDS = _Folds()


def _fold(text: str) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    return _NOT_ASCII.sub(lambda found: found[0].translate(_FOLDS), text).encode("latin-1")


def folded(text: str) -> View:
    """`text` without characters that have no width, full-width and other digits and signs as ASCII."""
    return View(data=_fold(text)) if text.isascii() else _rewritten(text, _HIDDEN)


def unescaped(text: str) -> View:
    """`text` folded, with percent, JSON, hexadecimal and HTML escapes of single ASCII characters undone, one level."""
    return _rewritten(text, _ESCAPE)


def _rewritten(text: str, pattern: re.Pattern[str]) -> View:
    pieces: list[str] = []
    steps: list[int] = []
    shifts: list[int] = []
    done = length = 0
    for found in pattern.finditer(text):
        instead = _meaning(found)
        pieces += (text[done : found.start()], instead)
        length += found.start() - done + len(instead)
        done = found.end()
        steps.append(length)
        shifts.append(done - length)
    pieces.append(text[done:])
    return View(data=_fold("".join(pieces)), steps=tuple(steps), shifts=tuple(shifts))


def _meaning(found: re.Match[str]) -> str:
    group = found.lastindex
    if group is None:
        return ""
    if group == _SHORT_GROUP:
        return found[group][1] if found[group][1] in '"/\\' else " "
    code = int(found[group], 10 if group == _DECIMAL_GROUP else 16)
    return chr(code) if 0x20 <= code < 0x7F else OTHER  # noqa: PLR2004 - printable ASCII
