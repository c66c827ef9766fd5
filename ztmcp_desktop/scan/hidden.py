"""Text that a reader does not see, or takes for other text: found, and made visible."""
# ruff: noqa: RUF001, RUF002 - look-alikes are what this is about

import re
import unicodedata
from itertools import chain

MAX_STACKED = 3
BLANK_RUN = 200

_KEPT = frozenset("\n\t ")
# Printable by category, but with no ink of their own: fillers, joiners, the blank Braille cell, variation selectors.
_INKLESS = frozenset(
    chain(
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x1810),
        range(0xFE00, 0xFE10),
        range(0xE0100, 0xE01F0),
    )
)
_OPENING = 0x27E6
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TAGS = re.compile("[\U000e0000-\U000e007f]")
_ANSI = re.compile("[\x1b\x90\x9b\x9d]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x8f\x91-\x9a\x9c\x9e\x9f]")
_LONE_RETURN = re.compile("\r(?!\n)")
_BLANKS = re.compile(rf"\n{{{BLANK_RUN},}}|[ \t]{{{BLANK_RUN},}}")
# Four places of each long enough run are multiples of this, so a part of the text says whether to look for one.
_STRIDE = BLANK_RUN // 4
_SOME_BLANKS = re.compile(r"\n{4}|[ \t]{4}")
_INKED = bytes(range(0x20, 0x7F)) + b"\n\t"
_ACCENTS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACK = re.compile(f"[{_ACCENTS}]{{{MAX_STACKED + 1},}}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SUSPECT = re.compile(r"[^\x09\x0a\x20-\x7e]")
_WORD = re.compile(r"[^\W\d_](?:\w*[^\W\d_])?")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_MATHEMATICAL = re.compile("[\U0001d400-\U0001d7ff]")

# Letters drawn like Latin ones (Unicode TS 39, confusables), by script.
_TWINS = (
    (re.compile("[\u0400-\u052f]"), frozenset("аеорсухіјѕһԁԛԝѵցАВЕЗІЈКМНОРСТУХЅԌԜ")),
    (re.compile("[\u0370-\u03ff]"), frozenset("ονρΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")),
    (re.compile("[\u0530-\u058f]"), frozenset("օսհոցզԼՏՍ")),
    (re.compile("[\u13a0-\u13ff]"), frozenset("ᎠᎡᎢᎥᎩᎪᎫᎬᎳᎷᎻᏀᏂᏃᏎᏏᏒᏔᏚᏞᏟᏢᏦᏧ")),
)


def mark(char: str) -> str:
    """The visible stand-in for one character, e.g. `⟦U+202E⟧`."""
    return f"⟦U+{ord(char):04X}⟧"


def is_hidden(char: str) -> bool:
    """Whether a reader cannot see `char`, or cannot tell it from a space; newline, tab and space do not count."""
    return char not in _KEPT and (not char.isprintable() or ord(char) in _INKLESS)


class _Marks(dict[int, str]):
    """A translation table that fills itself; it holds at most one entry a code point."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = mark(char) if is_hidden(char) or code == _OPENING else char
        return self[code]


_MARKS = _Marks()


def visible(text: str) -> str:
    """`text` with each character that hides, steers or imitates shown as a mark; newline and tab stay.

    Shown are controls, ANSI and OSC escapes, bidirectional, zero-width and tag characters, variation selectors,
    private, unassigned and surrogate code points, spaces other than U+0020, look-alike letters, accents stacked
    beyond three, and the bracket of the marks themselves, which a text could use to imitate one.
    """
    if not _SUSPECT.search(text):
        return text
    return look_alikes(_STACK.sub(_unstack, text.translate(_MARKS)))


def _unstack(found: re.Match[str]) -> str:
    run = found[0]
    return run[:MAX_STACKED] + "".join(map(mark, run[MAX_STACKED:]))


def look_alikes(text: str) -> str:
    """`text` with letters marked that stand among Latin ones and are drawn like them, as in `pаssword`.

    A letter counts where its word has Latin letters too, or where the text has Latin letters and nothing of the
    letter's own script but look-alikes. Mathematical letters always count.
    """
    if text.isascii():
        return text
    text = _MATHEMATICAL.sub(lambda found: mark(found[0]), text)
    for script, twins in _TWINS:
        letters = set(script.findall(text))
        if not letters & twins or not _LATIN.search(text):
            continue
        if letters <= twins:
            text = "".join(mark(char) if char in twins else char for char in text)
        else:
            text = _WORD.sub(lambda found, twins=twins: _mixed(found[0], twins), text)  # type: ignore[misc]
    return text


def _mixed(word: str, twins: frozenset[str]) -> str:
    if not _LATIN.search(word):
        return word
    return "".join(mark(char) if char in twins else char for char in word)


def signs(text: str) -> tuple[str, ...]:
    """Short stable names of what is hidden in `text`, none for ordinary writing in any script, emoji included."""
    found = []
    # One pass clears most texts of all that is told apart here.
    if not text.isascii() or text.encode("ascii").translate(None, _INKED):
        if _ANSI.search(text):
            found.append("ansi")
        if _CONTROL.search(text):
            found.append("control")
        if _LONE_RETURN.search(text):
            found.append("overwrites-line")
    if _SOME_BLANKS.search(text[::_STRIDE]) and _BLANKS.search(text):
        found.append("long-blank")
    if not text.isascii():
        found += _unicode_signs(text)
    return tuple(found)


def _unicode_signs(text: str) -> list[str]:
    found = []
    if _BIDI.search(text):
        found.append("bidi")
    if _TAGS.search(text):
        found.append("tag-characters")
    if any(_conceals(run, text[run.start() - 1 : run.start()]) for run in _NOT_ASCII.finditer(text)):
        found.append("hidden-unicode")
    if _STACK.search(text):
        found.append("stacked-marks")
    if look_alikes(text) != text:
        found.append("look-alike")
    return found


def _conceals(run: re.Match[str], before: str) -> bool:
    """Whether a run of non-ASCII characters has one that hides; joiners within scripts and emoji need not."""
    for index, char in enumerate(run[0]):
        previous = run[0][index - 1] if index else before
        if char.isprintable() and ord(char) not in _INKLESS:
            continue
        if char == "\ufeff" and run.start() + index == 0:
            continue
        if unicodedata.category(char) == "Zs" or _BIDI.match(char) or _TAGS.match(char):
            continue
        if char in "\u200c\u200d\ufe0e\ufe0f" and _carries(previous):
            continue
        return True
    return False


def _carries(previous: str) -> bool:
    """Whether a joiner or an emoji selector may rightly follow `previous`."""
    if not previous:
        return False
    if previous.isascii():
        return previous in "#*0123456789"
    return unicodedata.category(previous) in {"So", "Sk", "Sm", "Po", "Lo", "Mn", "Mc"} or previous == "\ufe0f"
