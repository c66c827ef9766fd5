"""What setting up another gateway takes: its own commands, and requests to its own interface."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from typing import Any

from tests.bench.peer import Place

PATIENCE_S = 60


def ran(command: list[str], place: Place, environment: dict[str, str] | None = None) -> str:
    """What a command says. Raises RuntimeError, with the end of its complaint, where it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "HOME": str(place.work), **(environment or {})},
        cwd=place.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout


def asked(url: str, body: Any = None, token: str = "") -> Any:
    """The JSON that an interface answers with; a body makes it a POST."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    given = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=given, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url} was answered with {error.code}: {error.read()[:300]!r}") from error
