"""One journey in a keyring of its own: it is locked under a running gateway, and before a start."""

import contextlib
import sys
from pathlib import Path

import secretstorage

from tests.journeys.stage import RawClient, denied, stage_in

SLOW = Path(__file__).with_name("slow_server.py")
VALUE = "the-value-of-the-secret"
ALLOW = """permit (principal, action == Action::"call_without_asking", resource);\n"""


def lock_keychain() -> None:
    with contextlib.closing(secretstorage.dbus_init()) as bus:
        secretstorage.get_default_collection(bus).lock()


def main() -> None:
    root = Path(sys.argv[1])
    root.mkdir()
    with stage_in(root) as stage:
        stage.cli("secret", "set", "token", given=VALUE)
        command = [sys.executable, str(SLOW), str(stage.project)]
        stage.cli("server", "add", "slow", "--secret", "TOKEN=token", "--folder", f"{stage.project}:rw", "--", *command)
        stage.cli("server", "approve", "slow", "--yes")
        rule = root / "allow.cedar"
        rule.write_text(ALLOW)
        stage.cli("rule", "add", str(rule))
        token = stage.add_client()
        stage.start(headless=True)
        lock_keychain()
        raw = RawClient(stage.endpoint("slow"), token).open()
        assert denied(raw.call("note", text="x")) == "secret-missing", "a call went on with a locked keychain"
        assert not (stage.project / "note").exists()
        stage.stop()
        refused = stage.cli("run", "--headless", "--port", str(stage.port), status=1)
        assert "keychain" in refused.stderr.lower(), refused.stderr
        assert VALUE.encode() not in b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


main()
