"""The suite's command for a client behind the gateway: the scenario's server is approved, and the client is run.

Called as the client is, with the address of the scenario's server as the last argument; `ZTMCP_HOME` is the home of the
gateway that runs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from browser import visit

from ztmcp_desktop.control.socket_client import ask_gateway
from ztmcp_desktop.settings import find_home

CLIENT = str(Path(__file__).with_name("client.py"))
ZTMCP = (sys.executable, "-m", "ztmcp_desktop")
MAX_NAME_CHARS = 32
MAX_LOGINS = 2
APPROVED = "Approved "


def main(url: str) -> None:
    scenario, version = (os.environ[f"MCP_CONFORMANCE_{part}"] for part in ("SCENARIO", "PROTOCOL_VERSION"))
    name = name_of(scenario, version)
    ask("server.add", name=name, url=url)
    approved = APPROVED in ztmcp("server", "approve", name, "--yes")
    # A token is for the servers that are approved when it is made, so each server's client is one of its own.
    client = ask("client.add", name=name, servers=[name])
    # A server may want another login than the one that it just took; whoever approves it is told.
    logins = MAX_LOGINS if scenario.startswith("auth/") else 0
    while logins and not approved:
        logins -= 1
        log_in(name)
        approved = APPROVED in ztmcp("server", "approve", name, "--yes")
    command = [sys.executable, CLIENT, client["endpoints"][name]]
    status = subprocess.run(command, env={**os.environ, "CONFORMANCE_TOKEN": client["token"]}, check=False).returncode
    # The scenario ends only when nobody is connected to its server any more.
    ask("server.remove", name=name)
    sys.exit(status)


def log_in(name: str) -> None:
    """Log the gateway in for its client of the same name. A scenario may mean to have that refused."""
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    options = ["--client-id", given["client_id"]] if "client_id" in given else []
    for key, option in (("client_secret", "--client-secret"), ("private_key_pem", "--client-key")):
        if key in given:
            ask("secret.set", name=f"S-{name}", value=given[key])
            options += [option, f"S-{name}"]
    if "client-credentials" in os.environ["MCP_CONFORMANCE_SCENARIO"]:
        options.append("--client-credentials")
    command = [*ZTMCP, "server", "login", name, "--client", name, "--yes", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if re.match(r"https?://", line):
                visit(line.strip())


def name_of(scenario: str, version: str) -> str:
    """The scenario's name, made a server's."""
    year = version[:4]
    plain = scenario.replace("_", "-").replace("/", "-")
    return f"{plain[: MAX_NAME_CHARS - len(year) - 1].rstrip('-')}-{year}"


def ask(verb: str, **arguments: Any) -> dict[str, Any]:
    """Have the gateway do `verb`, without a program of the command line for it, of which a run would need hundreds."""
    return ask_gateway(find_home(), verb, arguments)


def ztmcp(*arguments: str) -> str:
    """Run `ztmcp ARGUMENTS`; its output. Ends this program where it fails."""
    done = subprocess.run([*ZTMCP, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"ztmcp {' '.join(arguments)} gave {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1])
