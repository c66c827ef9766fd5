"""Finds personal data, keys and tokens in text: one pass says which patterns occur, then only those are looked for."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import re2

from ztmcp_desktop.scan.personal import PERSONAL, Check, Span
from ztmcp_desktop.scan.tokens import TOKENS
from ztmcp_desktop.scan.views import View, folded, unescaped

CONTEXT_CHARS = 48
DFA_BYTES = 256 * 1024**2
MOSTLY = 5

# Four sextets of printable ASCII begin with one of these; hexadecimal of printable ASCII with 2 to 7.
_BASE64 = rb"(?:[CDI-Za-f][A-Za-z0-9+/_-]{3}){5,}[A-Za-z0-9+/_-]{0,3}"
_HEX = rb"(?:[2-7][0-9A-Fa-f]){8,}"
_ESCAPES = rb"%[0-9A-Fa-f]{2}|\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|&#x?[0-9A-Fa-f]{2,3};"
_ALWAYS = rb""
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Sensitive data at `text[start:end]`."""

    kind: str
    start: int
    end: int


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = DFA_BYTES
    options.log_errors = False
    return options


# A piece of a longer dotted or hyphenated number, such as an address or an identifier, is not one of these.
_LONELY = frozenset({"PHONE", "NATIONAL_ID"})
_DIGIT_BEFORE = re.compile(r"[0-9A-Za-z][-._]$")
_DIGIT_AFTER = re.compile(rb"[-._]?[0-9A-Za-z]")


@dataclass(frozen=True, slots=True)
class _Pattern:
    kind: str
    source: bytes
    check: Check | None

    def spans(self, data: bytes, context: str = "") -> Iterator[Span]:
        for match in re2.finditer(self.source, data, _OPTIONS):
            group = 1 if match.re.groups else 0
            start, end = match.span(group)
            if self.check is None:
                yield start, end
                continue
            before = data[max(0, start - CONTEXT_CHARS) : start].decode("latin-1")
            if self.kind in _LONELY and (_DIGIT_AFTER.match(data, end) or _DIGIT_BEFORE.search(before)):
                continue
            if start < CONTEXT_CHARS:
                before = f"{context}: {before}"
            if part := self.check(data[start:end].decode("latin-1"), before):
                yield start + part[0], start + part[1]


_OPTIONS = _options()
_PATTERNS = tuple(
    [_Pattern(kind, source, None) for kind, source in TOKENS]
    + [_Pattern(kind, source, check) for kind, source, check in PERSONAL]
)
_BASE64_AT, _HEX_AT, _ESCAPES_AT, _ALWAYS_AT = range(len(_PATTERNS), len(_PATTERNS) + 4)


def _compiled_set() -> re2.Set:
    patterns = re2.Set.SearchSet(_options())
    for source in (*(pattern.source for pattern in _PATTERNS), _BASE64, _HEX, _ESCAPES, _ALWAYS):
        patterns.Add(source)
    patterns.Compile()
    return patterns


_SET = _compiled_set()


def _occurring(data: bytes) -> frozenset[int]:
    """Which patterns occur. When RE2 runs out of memory it says that none does, not even the empty one: then all."""
    found = frozenset(_SET.Match(data) or ())
    return found if _ALWAYS_AT in found else frozenset(range(_ALWAYS_AT + 1))


def occurs(text: str) -> bool:
    """Whether anything in `text` looks sensitive at all: fast, and never False where `find` would find."""
    return len(_occurring(folded(text).data)) > 1


def occurs_in(texts: Iterable[str]) -> bool:
    """Whether anything in any of `texts` looks sensitive: one pass over all, and never False where one would be found.

    They are put on lines of their own. No pattern needs more at its end than a line's end or the text's.
    """
    return occurs("\n".join(texts))


def find(text: str, context: str = "") -> tuple[Finding, ...]:
    """The sensitive data in `text`, in order, without overlaps. `context` says what the text is, e.g. its JSON key.

    Looks through full-width digits, characters without width, one level of percent, JSON and HTML escapes, and one
    level of base64 or hexadecimal, where the whole encoded run is found. Linear in the text (RE2).
    """
    view = folded(text)
    hits = _occurring(view.data)
    if len(hits) == 1:
        return ()
    found = list(_in_view(view, hits, context))
    if _ESCAPES_AT in hits:
        plain = unescaped(text)
        found += _in_view(plain, _occurring(plain.data), context)
    return _merged(found)


def _in_view(view: View, hits: frozenset[int], context: str) -> Iterator[Finding]:
    for index in hits:
        if index < len(_PATTERNS):
            pattern = _PATTERNS[index]
            spans: Iterable[tuple[str, Span]] = ((pattern.kind, span) for span in pattern.spans(view.data, context))
        elif index == _BASE64_AT:
            spans = _encoded(view.data, _BASE64, _from_base64)
        elif index == _HEX_AT:
            spans = _encoded(view.data, _HEX, bytes.fromhex)
        else:
            continue
        for kind, (start, end) in spans:
            yield Finding(kind=kind, start=view.origin(start), end=view.origin(end))


def _encoded(data: bytes, source: bytes, decode: Callable[[str], bytes]) -> Iterator[tuple[str, Span]]:
    for match in re2.finditer(source, data, _OPTIONS):
        inner = decode(match[0].decode("latin-1"))
        if len(inner.translate(None, _PRINTABLE)) * MOSTLY > len(inner):
            continue
        kinds = (_PATTERNS[i].kind for i in _occurring(inner) if i < len(_PATTERNS) and any(_PATTERNS[i].spans(inner)))
        if kind := next(kinds, None):
            start, end = match.span()
            padding = data[end : end + 2]
            yield kind, (start, end + len(padding) - len(padding.lstrip(b"=")))


def _from_base64(run: str) -> bytes:
    whole = run[:-1] if len(run) % 4 == 1 else run
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4), altchars=b"-_" if "-" in run or "_" in run else None)
    except binascii.Error:
        return b""


def _merged(found: list[Finding]) -> tuple[Finding, ...]:
    """In order; findings that overlap become one, of the kind that reaches furthest from where they begin."""
    merged: list[Finding] = []
    for finding in sorted(found, key=lambda f: (f.start, -f.end)):
        if merged and finding.start < merged[-1].end:
            last = merged[-1]
            if finding.end > last.end:
                merged[-1] = Finding(kind=last.kind, start=last.start, end=finding.end)
        else:
            merged.append(finding)
    return tuple(merged)
