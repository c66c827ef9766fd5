"""The suite's command for a client behind the gateway: the scenario's server is approved, and the client is run.

Called as the client is, with the address of the scenario's server as the last argument; `ZTMCP_HOME` is the home of the
gateway that runs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

CLIENT = str(Path(__file__).with_name("client.py"))
MAX_NAME_CHARS = 32


def main(url: str) -> None:
    scenario, version = (os.environ[f"MCP_CONFORMANCE_{part}"] for part in ("SCENARIO", "PROTOCOL_VERSION"))
    name = name_of(scenario, version)
    ztmcp("server", "add", name, "--url", url)
    ztmcp("server", "approve", name, "--yes")
    # A token is for the servers that are approved when it is made, so each server's client is one of its own.
    client = json.loads(ztmcp("client", "add", name, "--server", name, "--json"))
    command = [sys.executable, CLIENT, client["endpoints"][name]]
    status = subprocess.run(command, env={**os.environ, "CONFORMANCE_TOKEN": client["token"]}, check=False).returncode
    # The scenario ends only when nobody is connected to its server any more.
    ztmcp("server", "remove", name)
    sys.exit(status)


def name_of(scenario: str, version: str) -> str:
    """The scenario's name, made a server's."""
    year = version[:4]
    plain = scenario.replace("_", "-").replace("/", "-")
    return f"{plain[: MAX_NAME_CHARS - len(year) - 1].rstrip('-')}-{year}"


def ztmcp(*arguments: str) -> str:
    """Run `ztmcp ARGUMENTS`; its output. Ends this program where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "ztmcp_desktop", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"ztmcp {' '.join(arguments)} gave {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1])
