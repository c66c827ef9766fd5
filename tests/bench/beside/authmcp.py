"""authmcp-gateway: a user with a token, and the server in its database, as it has no other way to be told of one."""

import sqlite3
from contextlib import closing

from tests.bench.beside.hands import asked, ran
from tests.bench.peer import Entrance, Launch, Place

USER, PASSWORD = "bench", "Bench-Passw0rd-77!"
SIGNING_KEY = "only-for-a-measurement-and-long-enough-to-be-accepted-as-a-signing-key-by-everyone"
SERVER_ROW = """
INSERT INTO mcp_servers (name, url, enabled, auth_type, routing_strategy, timeout)
VALUES ('echo', ?, 1, 'none', 'auto', 60)
"""


def authmcp(place: Place) -> Launch:
    """Its limit of 100 calls a minute is off."""
    program, database = place.program("authmcp-gateway"), place.work / "auth.db"
    environment = {
        "AUTH_SQLITE_PATH": str(database),
        "AUTH_REQUIRED": "true",
        "JWT_SECRET_KEY": SIGNING_KEY,
        "RATE_LIMIT_ENABLED": "false",
        "MCP_PUBLIC_URL": place.base,
    }

    def enter() -> Entrance:
        person = ["--username", USER, "--email", f"{USER}@example.com", "--password", PASSWORD]
        ran([program, "create-admin", *person, "--db-path", str(database)], place, environment)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(SERVER_ROW, (place.url,))
        token = asked(f"{place.base}/auth/login", {"username": USER, "password": PASSWORD})["access_token"]
        return Entrance(url=f"{place.base}/mcp", headers={"Authorization": f"Bearer {token}"})

    options = ["--host", "127.0.0.1", "--port", str(place.port), "--log-level", "ERROR"]
    return Launch(command=[program, "start", *options], environment=environment, enter=enter)
