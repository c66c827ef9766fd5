"""No secret and no unmasked personal value is found by a byte search where it must not be."""

import sys
from pathlib import Path

import psutil
import pytest

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
