"""No secret and no unmasked personal value is found by a byte search where it must not be."""

import base64
import hashlib
import http.client
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil
import pytest

from tests.conformance.test_conformance import AGREEABLE
from tests.journeys.leaky_values import PERSONAL, SECRET
from tests.journeys.stage import RawClient, Stage, text_of

pytestmark = [pytest.mark.screen, pytest.mark.timeout(180)]
LEAKY = Path(__file__).with_name("leaky_server.py")
ALLOW = """permit (principal, action == Action::"call_without_asking", resource);\n"""


def forms(value: str) -> list[bytes]:
    """The value as it is and without spaces."""
    return [value.encode(), value.replace(" ", "").encode()]


@pytest.mark.attack("P5", "P11")
@pytest.mark.promise("R7", "R8")
def test_secrets_and_personal_values_are_nowhere_on_disk_nor_in_any_process_arguments(stage: Stage) -> None:
    stage.cli("secret", "set", "token", given=SECRET)
    stage.cli("server", "add", "leaky", "--secret", "TOKEN=token", "--", sys.executable, str(LEAKY))
    stage.cli("server", "approve", "leaky", "--yes")
    rule = stage.root / "allow.cedar"
    rule.write_text(ALLOW)
    stage.cli("rule", "add", str(rule))
    token = stage.add_client()
    stage.start(headless=True)
    raw = RawClient(stage.endpoint("leaky"), token).open()

    environment = text_of(raw.call("environment"))
    person = text_of(raw.call("person"))
    echoed = text_of(raw.call("echo", text=f"again {PERSONAL[0]}"))
    assert "{{secret:token}}" in environment
    assert SECRET not in environment
    assert "<EMAIL_1>" in person
    assert "<EMAIL_1>" in echoed
    for value in PERSONAL:
        assert value not in person

    arguments = b"\n".join(part.encode() for process in psutil.process_iter() for part in arguments_of(process))
    stage.stop()
    stage.verify()
    listing = stage.cli("audit", "list", "--json").stdout.encode()
    kept = {str(path.relative_to(stage.home)): path.read_bytes() for path in stage.home.rglob("*") if path.is_file()}
    kept |= {"arguments": arguments, "own output": stage.log().encode(), "audit list": listing}
    for value in (SECRET, token, *PERSONAL):
        for form in forms(value):
            assert [where for where, bytes_ in kept.items() if form in bytes_] == [], value


def arguments_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.attack("N3", "O4")
def test_the_tokens_of_a_login_are_nowhere_on_disk(stage: Stage) -> None:
    stage.settings('headless_desk = "terminal"\n')
    stage.add_server("leaky", sys.executable, str(LEAKY))
    stage.start(*AGREEABLE, headless=True)
    stage.cli("client", "pair")
    site = f"http://127.0.0.1:{stage.port}"
    redirect = {"redirect_uri": "http://127.0.0.1:9/callback"}
    client = sent(f"{site}/register", json.dumps({"redirect_uris": [redirect["redirect_uri"]]}), "application/json")
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"response_type": "code", "client_id": client["client_id"], "resource": stage.endpoint("leaky"), **redirect}
    asked |= {"code_challenge": challenge, "code_challenge_method": "S256", "scope": "server:leaky:read"}
    where = redirected(f"{site}/authorize?{urlencode(asked)}")
    code = parse_qs(urlsplit(redirected(f"{site}{where}&again=1")).query)["code"][0]

    first = form(
        f"{site}/token", client, grant_type="authorization_code", code=code, code_verifier=verifier, **redirect
    )
    second = form(f"{site}/token", client, grant_type="refresh_token", refresh_token=first["refresh_token"])
    raw = RawClient(stage.endpoint("leaky"), second["access_token"]).open()
    assert raw.request("tools/list", {})["result"]["tools"]

    stage.stop()
    stage.verify()
    kept = {str(path.relative_to(stage.home)): path.read_bytes() for path in stage.home.rglob("*") if path.is_file()}
    kept |= {"own output": stage.log().encode(), "audit list": stage.cli("audit", "list", "--json").stdout.encode()}
    tokens = [found[key] for found in (first, second) for key in ("access_token", "refresh_token")]
    for value in (code, verifier, *tokens):
        # The end of a token is random; the name of its login, which a refresh token holds too, is no secret.
        assert [where for where, bytes_ in kept.items() if value[-43:].encode() in bytes_] == []
    assert any(hashlib.sha256(second["access_token"].encode()).hexdigest().encode() in found for found in kept.values())


def form(address: str, client: dict[str, Any], **parameters: str) -> dict[str, Any]:
    given = urlencode({"client_id": client["client_id"], **parameters})
    return sent(address, given, "application/x-www-form-urlencoded")


def sent(address: str, body: str, kind: str) -> dict[str, Any]:
    request = urllib.request.Request(address, data=body.encode(), headers={"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def redirected(address: str) -> str:
    """Where a browser is sent on to."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers["Location"] or ""
