import pytest

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.questions import MAX_FIELDS, MAX_URL_CHARS, fault_of


def form(name: str, **field: str) -> JsonObject:
    return {"message": "?", "requestedSchema": {"type": "object", "properties": {name: {"type": "string", **field}}}}


@pytest.mark.attack("T8")
@pytest.mark.parametrize(
    "name",
    [
        *("password", "api_key", "apiKey", "2FA code", "userPassword", "PIN", "one-time code", "seedPhrase"),
        *("cardNumber", "pаssword", "pass\u200bword", "\u202edrowssap"),  # noqa: RUF001 - a Cyrillic letter
    ],
)
def test_a_field_for_a_secret_is_a_fault_wherever_it_says_so(name: str) -> None:
    assert fault_of(form(name)) is not None
    assert fault_of(form("a", title=name)) is not None
    assert fault_of(form("a", description=f"Please type your {name}")) is not None


@pytest.mark.attack("T8")
@pytest.mark.parametrize(
    "url",
    [
        "https://accounts.google.com@evil.example/login",
        "https://xn--80ak6aa92e.example/",
        "https://аpple.example/",  # noqa: RUF001 - a Cyrillic letter
        "http://evil.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https:///path",
        "https://a.example/\nhttps://b.example",
        "https://a.example:99999/",
        'https://a.example/"&calc&"',
        "https://a.example/" + "x" * MAX_URL_CHARS,
        "//evil.example",
        "",
        7,
        None,
    ],
)
def test_an_address_that_misleads_is_a_fault(url: object) -> None:
    assert fault_of({"mode": "url", "message": "?", "url": url}) is not None


def test_a_form_that_is_no_form_is_a_fault() -> None:
    assert fault_of({"requestedSchema": {"properties": []}}) is not None
    assert fault_of({"requestedSchema": {"properties": {str(n): {} for n in range(MAX_FIELDS + 1)}}}) is not None


@pytest.mark.parametrize("name", ["colour", "fullName", "email", "pinned", "spinach", "Straße", "назва"])
def test_an_ordinary_field_is_none(name: str) -> None:
    assert fault_of(form(name, title=name, description=f"Your {name}")) is None


@pytest.mark.parametrize(
    "url", ["https://github.com/login/device?x=1&y=%20", "http://127.0.0.1:7000/a", "https://[::1]/"]
)
def test_an_ordinary_address_is_none(url: str) -> None:
    assert fault_of({"mode": "url", "message": "?", "url": url}) is None
