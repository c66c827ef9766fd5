"""What a server may not ask the person through a client: secrets in a form, and addresses that mislead."""

from itertools import pairwise
from urllib.parse import urlsplit

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.scan.words import word_set, words_of

MAX_URL_CHARS = 2048
MAX_FIELDS = 64
CAPABILITIES = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SECRETS = word_set(
    "apikey credential credentials cvc cvv mfa otp passcode passphrase passwd password passwords pin pincode pwd "
    "secret secrets ssn token tokens totp"
)
_PAIRS = frozenset(
    (
        *(("2", "fa"), ("two", "factor"), ("one", "time"), ("card", "number"), ("api", "keys")),
        *((first, "key") for first in ("access", "api", "private", "secret", "signing")),
        *((first, "code") for first in ("backup", "recovery", "security", "verification")),
        *((first, "phrase") for first in ("recovery", "seed")),
    )
)


def fault_of(params: JsonObject) -> str | None:
    """Why an `elicitation/create` must not reach the client, as a sentence; None where nothing is wrong.

    A form must not ask for secrets (MCP 2025-11-25 and 2026-07-28, elicitation), and what a person opens must be what
    it looks like (threats, T8).
    """
    return _fault_of_url(params.get("url")) if params.get("mode") == "url" else _fault_of_form(params)


def is_declared(method: str, params: JsonObject, able: JsonObject) -> bool:
    """Whether a client with these capabilities can be asked this; an elicitation that is empty is that of forms.

    A server must not ask for what was not declared, nor in another mode (MCP 2025-11-25 and 2026-07-28, elicitation;
    2026-07-28, basic/patterns/mrtr).
    """
    declared = able.get(CAPABILITIES.get(method, ""))
    if method != "elicitation/create":
        return isinstance(declared, dict)
    mode = params.get("mode", "form")
    if not isinstance(declared, dict) or not isinstance(mode, str):
        return False
    return mode in declared or (mode == "form" and "url" not in declared)


def _fault_of_form(params: JsonObject) -> str | None:
    schema = params.get("requestedSchema")
    fields = schema.get("properties", {}) if isinstance(schema, dict) else {}
    if not isinstance(fields, dict) or len(fields) > MAX_FIELDS:
        return f"its form is no list of at most {MAX_FIELDS} fields"
    for name, field in fields.items():
        for text in (name, *_texts_of(field)):
            if visible(text) != text:
                return "a field of its form has a name that is not what it looks like"
            if _names_a_secret(text):
                return f"its form asks for a secret (the field {name[:64]}), which no form may"
    return None


def _texts_of(field: Json) -> tuple[str, ...]:
    said = (field.get("title"), field.get("description")) if isinstance(field, dict) else ()
    return tuple(text for text in said if isinstance(text, str))


def _names_a_secret(text: str) -> bool:
    words = words_of(text)
    return bool(_SECRETS & set(words)) or any(pair in _PAIRS for pair in pairwise(words))


def _fault_of_url(untrusted: Json) -> str | None:
    if not isinstance(untrusted, str) or len(untrusted) > MAX_URL_CHARS:
        return f"its address is none, or longer than {MAX_URL_CHARS} characters"
    if not untrusted.isascii() or any(char <= " " or char in '"<>\\^`{|}\x7f' for char in untrusted):
        return "its address holds characters that no address has"
    try:
        parts = urlsplit(untrusted)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "its address is none"
    faults = (
        (not host or port == 0, "its address names no host"),
        (parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK), "its address is not https"),
        ("@" in parts.netloc, "its address hides its host behind a user name"),
        ("xn--" in host, "its address has a host whose letters may be others than they look"),
    )
    return next((why for wrong, why in faults if wrong), None)
