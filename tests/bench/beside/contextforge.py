"""ContextForge: the server registered with it, and a virtual server of its tools, reached with a token."""

import time

from tests.bench.beside.hands import PATIENCE_S, asked, ran
from tests.bench.peer import Entrance, Launch, Place

ADMIN = "admin@example.com"
PASSWORD = "Bench-Passw0rd-77!"
KEY = "only-for-a-measurement-and-long-enough-to-pass"
ENVIRONMENT = {
    "JWT_SECRET_KEY": f"{KEY}-as-a-signing-key",
    "AUTH_ENCRYPTION_SECRET": f"{KEY}-as-an-encryption-key",
    "BASIC_AUTH_PASSWORD": PASSWORD,
    "PLATFORM_ADMIN_EMAIL": ADMIN,
    "PLATFORM_ADMIN_PASSWORD": PASSWORD,
    "DEFAULT_USER_PASSWORD": f"{PASSWORD}2",
    "SSRF_ALLOW_LOCALHOST": "true",
    "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
    "MCPGATEWAY_UI_ENABLED": "false",
    "MCPGATEWAY_ADMIN_API_ENABLED": "false",
    "RATE_LIMITING_ENABLED": "false",
    "TOOL_RATE_LIMIT": "100000000",
    "LOG_LEVEL": "ERROR",
}


def contextforge(place: Place) -> Launch:
    """Its limits of calls a minute are off, and servers on this machine are permitted."""
    environment = {**ENVIRONMENT, "DATABASE_URL": f"sqlite:///{place.work}/contextforge.db"}

    def enter() -> Entrance:
        making = ["-m", "mcpgateway.utils.create_jwt_token", "--username", ADMIN, "--exp", "600", "--admin"]
        said = ran([place.program("python"), *making, "--secret", environment["JWT_SECRET_KEY"]], place, environment)
        token = said.split()[-1]
        asked(f"{place.base}/gateways", {"name": "echo", "url": place.url, "transport": "STREAMABLEHTTP"}, token)
        server = {"name": "bench", "associated_tools": _tools(place.base, token)}
        made = asked(f"{place.base}/servers", {"server": server}, token)
        return Entrance(url=f"{place.base}/servers/{made['id']}/mcp", headers={"Authorization": f"Bearer {token}"})

    options = ["--host", "127.0.0.1", "--port", str(place.port)]
    return Launch(command=[place.program("mcpgateway"), *options], environment=environment, enter=enter)


def _tools(base: str, token: str) -> list[str]:
    """The ids of the tools that it found, which takes it a moment."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = asked(f"{base}/tools", token=token)
        if tools := found if isinstance(found, list) else found["tools"]:
            return [str(tool["id"]) for tool in tools]
        time.sleep(0.1)
    raise RuntimeError("it found no tools")
