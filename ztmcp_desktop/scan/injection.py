"""Signs that a text is addressed to the model and not to a reader. They mark; they prove nothing by themselves."""

import base64
import binascii
from itertools import islice

import re2

MAX_DECODED = 64
MIN_ENCODED = 40

# Each pattern runs in linear time; all are tried in one pass, case-insensitively.
_REST = r"[^.\n]*"  # of the sentence
_WHAT = r"\b(?:previous|prior|above|earlier|all|your|other|system)\b"
_RULES = r"\b(?:instructions?|prompts?|rules?|messages?|context|guidelines?|directions?)\b"
_RUNS = r"\b(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|run(?:ning)?)\b"
_TELLS = r"\b(?:tell|mention|inform|notify|reveal|show|alert|telling|mentioning)\b"
_GIVES = r"\b(?:read|send|include|pass|provide|print|give|copy|upload|exfiltrate|reveal|paste)\b"
_KEYS = r"\b(?:passwords?|api[_ -]?keys?|tokens?|credentials?|private keys?|secrets?|environment variables)\b"
_PLACES = r"\.(?:ssh|aws|gnupg|kube|env\b|cursor/mcp|netrc)|\bid_(?:rsa|ed25519|ecdsa)\b|/etc/(?:shadow|passwd)\b"
_THEM = r"\b(?:user|human|person|them|anyone|this)\b"
_MUST = r"\b(?:must|should|shall|has to|is required to|needs? to)\b"
_SIGNS = (
    ("instructs-model", rf"\b(?:ignore|disregard|forget|override)\b{_REST}{_WHAT}{_REST}{_RULES}"),
    ("instructs-model", r"<\s*/?\s*(?:important|system|instructions?|assistant|admin|secret|critical)\s*>"),
    ("instructs-model", r"\[\s*(?:system|inst|/inst|assistant|developer)\s*\]|<\|(?:im_start|im_end|system|endoftext)"),
    ("instructs-model", r"\b(?:you are now|from now on,? you|new instructions?:|system prompt)\b"),
    ("instructs-model", rf"\b(?:before|prior to|whenever|always|first)\b{_REST}{_RUNS}{_REST}\btools?\b"),
    ("instructs-model", rf"\b(?:the|this) (?:ai|assistant|model|agent|llm)\b{_REST}{_MUST}"),
    (
        "asks-to-hide",
        rf"\b(?:do not|don't|never|without)\b{_REST}{_TELLS}{_REST}{_THEM}",
    ),
    ("asks-to-hide", r"\b(?:secretly|silently|covertly|behind the scenes|hide this from)\b"),
    ("asks-for-secrets", _PLACES),
    ("asks-for-secrets", rf"{_GIVES}{_REST}{_KEYS}"),
    ("html-comment", r"(?s:<!--.*?-->)"),
    ("hidden-markup", r"(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0[^.])"),
    ("image-beacon", r"!\[[^\]\n]*\]\(https?://[^)\s]*[?&][^)\s]*\)"),
)
_BASE64_SOURCE = r"[A-Za-z0-9+/]{40,}={0,2}"
_HEX_SOURCE = r"(?:[0-9a-fA-F]{2}){20,}"
_BASE64, _HEX = re2.compile(_BASE64_SOURCE), re2.compile(_HEX_SOURCE)


def _compiled(*sources: str) -> "re2.Set":
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 64 * 1024**2
    patterns = re2.Set.SearchSet(options)
    # Last, what always occurs.
    for source in (*sources, ""):
        patterns.Add(source)
    patterns.Compile()
    return patterns


_SET = _compiled(*(source for _, source in _SIGNS))
# What would have to be decoded first. Apart, since what these count, times what those have seen, is more states than
# RE2 keeps: a text made for that took forty times as long.
_ENCODED = _compiled(_BASE64_SOURCE, _HEX_SOURCE)


def signs(text: str) -> tuple[str, ...]:
    """The signs that `text` shows, in order of name; encoded parts are decoded once and looked at too."""
    found = _plain_signs(text)
    if len(text) >= MIN_ENCODED and any(_plain_signs(decoded) for decoded in _decoded(text)):
        found.add("encoded-text")
    return tuple(sorted(found))


def is_plain(text: str) -> bool:
    """Whether neither `text` nor any part of it shows a sign, nor holds what would have to be decoded first."""
    # Nothing occurs but what always does.
    return text.isascii() and all(len(patterns.Match(text) or ()) == 1 for patterns in (_SET, _ENCODED))


def _plain_signs(text: str) -> set[str]:
    data = text.encode("utf-8", "replace").decode("utf-8")
    hits = _SET.Match(data)
    if hits is None:
        # Not even the empty pattern: RE2 ran out of memory and says nothing of the others. A sign, not a silence.
        return {"unscreened"}
    return {_SIGNS[index][0] for index in hits if index < len(_SIGNS)}


def _decoded(text: str) -> list[str]:
    """The readable texts that are hidden in base64 or hexadecimal."""
    data = text.encode("ascii", "replace").decode("ascii")
    parts = [match.group() for match in islice(_BASE64.finditer(data), MAX_DECODED)]
    readable = [_from_base64(part[: len(part) - len(part) % 4]) for part in parts]
    found = [text for text in readable if text is not None]
    codes = [match.group() for match in islice(_HEX.finditer(data), MAX_DECODED)]
    return [*found, *(bytes.fromhex(code).decode("utf-8", "replace") for code in codes)]


def _from_base64(part: str) -> str | None:
    try:
        return base64.b64decode(part, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
