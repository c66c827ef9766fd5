"""How personal data looks, and the validators that tell it from numbers that only look like it."""

import re
from collections.abc import Callable

import phonenumbers
from stdnum import iban, luhn
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.us import itin, ssn

Span = tuple[int, int]
Check = Callable[[str, str], Span | None]
"""Given the candidate and up to 48 characters before it: which part of it is the real thing, or None."""

_NO_DOMAIN = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "json", "html", "xml", "txt", "pdf"})
_ESCAPE_START = re.compile(r"u00[0-9A-Fa-f]{2}|x[0-9A-Fa-f]{2}|[nrtbf]")
_REGIONS = {"0": ("DE", "GB", "FR", "NL", "IT", "CH", "AT", "BE", "SE", "AU", "JP"), "": ("US",)}
_DATE = re.compile(r"\d{1,2}([-./ ])\d{1,2}\1\d{2,4}")
_DECIMAL = re.compile(r"\+?\d+\.\d+")
_PLAIN = re.compile(r"[1-9]\d{2} ?\d{3} ?\d{4}")
_MAX_PHONE_DIGITS = 15
_MIN_PHONE_DIGITS = 8
_NINO_SPACES = 3
_BRANDS = re.compile(
    r"4\d{12}|4\d{15}|4\d{18}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|3(?:0[0-59]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_CUED = re.compile(
    r"(?i)(?:ssn|social.?security|national.?(?:id|insurance)|tax.?(?:id|file|number)|steuer|idnr|tin\b|bsn|burgerservice"
    r"|pesel|personnummer|f.dselsn|cpf|\bsin\b|tfn|aadhaar|nhs|passport|identity|\bdni\b|\bnie\b|\bnir\b|\bcpr\b"
    r"|fodsel|citizen|s.curit. sociale)"
)
_PHONE_CUE = re.compile(
    r"(?i)(?:phone|mobile|\bcall|\btel|\bcell|\bfax|whatsapp|sms|telefon|handy|t.l.fono)[^\n]{0,24}$"
)


def email(found: str, before: str) -> Span | None:
    """An address; not a picture's name such as `icon@2x.png`, nor the `git@` of a remote."""
    start = 0
    if before.endswith("\\") and (escape := _ESCAPE_START.match(found)):
        start = escape.end()
    found = found.rstrip(".")
    local, _, domain = re.sub("(?i)%40", "@", found[start:]).rpartition("@")
    if not local or local == "git" or domain.rpartition(".")[2].lower() in _NO_DOMAIN:
        return None
    return start, len(found)


def phone(found: str, before: str) -> Span | None:
    """A number that libphonenumber holds for valid; with `+` and separators a possible one is enough."""
    digits = re.sub(r"\D", "", found)
    if not _MIN_PHONE_DIGITS <= len(digits) <= _MAX_PHONE_DIGITS + 2:
        return None
    whole = (0, len(found))
    if _DATE.fullmatch(found) or _DECIMAL.fullmatch(found):
        return None
    if found.startswith(("+", "00", "%2")):
        number = _parsed(re.sub(r"^(?:00|%2[Bb])", "+", found), None)
        if number is None:
            return None
        spaced = bool(re.search(r"\d[ ()-]+\d", found))
        known = phonenumbers.is_valid_number(number) or (spaced and phonenumbers.is_possible_number(number))
        return whole if known else None
    if _PLAIN.fullmatch(found) and not _PHONE_CUE.search(before):
        return None
    national = found.lstrip("(")
    regions = _REGIONS["0"] if national.startswith("0") else _REGIONS[""]
    numbers = (_parsed(found, region) for region in regions)
    return whole if any(n is not None and phonenumbers.is_valid_number(n) for n in numbers) else None


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def card(found: str, _before: str) -> Span | None:
    """A payment card: length and beginning of a known brand, and the Luhn check digit (ISO/IEC 7812-1)."""
    digits = re.sub(r"\D", "", found)
    if not _BRANDS.fullmatch(digits) or not luhn.is_valid(digits):
        return None
    return 0, len(found)


def bank_account(found: str, _before: str) -> Span | None:
    """An IBAN with its check digits and its country's form (ISO 13616); what follows it is left out."""
    end = len(found)
    while end:
        if iban.is_valid(found[:end]):
            return 0, end
        end = max(found.rfind(" ", 0, end), found.rfind("-", 0, end), 0)
    return None


def _national(*formats: object) -> Check:
    def check(found: str, _before: str) -> Span | None:
        valid = any(form.is_valid(found) for form in formats)  # type: ignore[attr-defined]
        return (0, len(found)) if valid else None

    return check


def _cued(*formats: object) -> Check:
    """Weak check digits: only where a word before the number says what it is."""
    inner = _national(*formats)

    def check(found: str, before: str) -> Span | None:
        return inner(found, before) if _CUED.search(before) else None

    return check


def _insurance_number(found: str, before: str) -> Span | None:
    """The British number has no check digit: only in its usual grouping, or where a word before says so."""
    return (0, len(found)) if found.count(" ") >= _NINO_SPACES or _CUED.search(before) else None


# Bytes 0x80 to 0xFF stand for letters beyond ASCII (scan/views.py).
PERSONAL: tuple[tuple[str, bytes, Check], ...] = (
    (
        "EMAIL",
        rb"[A-Za-z0-9._%+'\xff-]{1,64}(?:@|%40)(?:[A-Za-z0-9\xff](?:[A-Za-z0-9\xff-]{0,62})\.){1,8}[A-Za-z\xff]{2,24}",
        email,
    ),
    ("PHONE", rb"(?:\+|\b00|%2[Bb])[1-9](?:[ ().\-/]{0,2}[0-9]){7,15}\b", phone),
    ("PHONE", rb"(?:\(|\b)0[1-9][0-9]{0,4}\)?(?:[ /.\-]{1,2}[0-9]{2,9}){1,5}\b", phone),
    ("PHONE", rb"(?:\(|\b)[2-9][0-9]{2}\)?[ .\-]{0,2}[2-9][0-9]{2}[ .\-]?[0-9]{4}\b", phone),
    ("CARD", rb"\b[2-6][0-9]{12,18}\b", card),
    ("CARD", rb"\b[2-6][0-9]{3}[ ][0-9]{4}[ ][0-9]{4}[ ][0-9]{4}(?:[ ][0-9]{3})?\b", card),
    ("CARD", rb"\b[2-6][0-9]{3}[-.][0-9]{4}[-.][0-9]{4}[-.][0-9]{4}(?:[-.][0-9]{3})?\b", card),
    ("CARD", rb"\b3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}\b", card),
    ("IBAN", rb"(?i)\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?\b", bank_account),
    ("NATIONAL_ID", rb"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", _national(ssn, itin)),
    ("NATIONAL_ID", rb"\b[0-9]{3}[ ]?[0-9]{2}[ ]?[0-9]{4}\b", _cued(ssn, itin, bsn, sin, tfn)),
    (
        "NATIONAL_ID",
        rb"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
        _insurance_number,
    ),
    ("NATIONAL_ID", rb"\b[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", _cued(idnr, pesel, fodselsnummer)),
    ("NATIONAL_ID", rb"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{3,4}\b", _cued(sin, tfn, nhs)),
    ("NATIONAL_ID", rb"\b[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b", _national(nir)),
    ("NATIONAL_ID", rb"\b[0-9]{8}-?[A-Z]\b", _national(dni)),
    ("NATIONAL_ID", rb"(?i)\b[XYZ]-?[0-9]{7}-?[A-Z]\b", _national(nie)),
    (
        "NATIONAL_ID",
        rb"(?i)\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        _national(codicefiscale),
    ),
    ("NATIONAL_ID", rb"\b(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}\b", _cued(personnummer, cpr)),
    ("NATIONAL_ID", rb"\b[0-9]{6}[-+A-FYXWVU][0-9]{3}[0-9A-Z]\b", _national(hetu)),
    ("NATIONAL_ID", rb"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b", _national(nn)),
    ("NATIONAL_ID", rb"\b756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}\b", _national(ahv)),
    ("NATIONAL_ID", rb"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", _national(cpf)),
    ("NATIONAL_ID", rb"\b[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}\b", _national(aadhaar)),
    ("NATIONAL_ID", rb"\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b", _cued(pan)),
    ("NATIONAL_ID", rb"\b[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9Xx]\b", _national(ric)),
    ("NATIONAL_ID", rb"\b[0-9]{6}-[0-9]{7}\b", _national(rrn)),
    ("NATIONAL_ID", rb"\b[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]\b", _national(curp)),
)
