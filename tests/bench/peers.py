"""The gateways that ours is measured beside, and how each is set up to let the echo through."""

import json
import os
import shutil
from pathlib import Path

from tests.bench.beside.authmcp import authmcp
from tests.bench.beside.contextforge import contextforge
from tests.bench.beside.hands import ran
from tests.bench.eras import Era
from tests.bench.peer import SERVER, Entrance, Form, Gateway, Launch, Place
from tests.journeys.stage import node

FASTMCP_PROXY = Path(__file__).parent / "beside" / "fastmcp_proxy.py"
NGINX = """
daemon off; master_process off; worker_processes 1; pid {work}/pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    access_log off; client_max_body_size 32m; client_body_buffer_size 2m;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    upstream echo {{ server {host}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://echo; proxy_http_version 1.1; proxy_buffering off;
            proxy_set_header Connection ""; proxy_set_header Host {host};
        }}
    }}
}}
"""
COMMAND = {"command": SERVER[0], "args": list(SERVER[1:])}
SESSIONS_ONLY = (Era.HANDSHAKE,)
TO_HTTP, TO_PIPES, PIPES = Form


def nginx(place: Place) -> Launch:
    host = place.url.removeprefix("http://").partition("/")[0]
    file = place.work / "nginx.conf"
    file.write_text(NGINX.format(work=place.work, host=host, port=place.port))
    places = os.pathsep.join([os.environ["PATH"], "/usr/sbin", str(place.installed / "usr" / "sbin")])
    program = shutil.which("nginx", path=places) or "nginx"
    return Launch(command=[program, "-e", "stderr", "-p", str(place.work), "-c", str(file)])


def fastmcp(place: Place) -> Launch:
    return Launch(command=[place.program("python"), str(FASTMCP_PROXY), place.url, str(place.port)])


def fastmcp_shared(place: Place) -> Launch:
    return Launch(command=[*fastmcp(place).command, "shared"])


def mcp_proxy(place: Place) -> Launch:
    options = ["--pass-environment", "--log-level", "ERROR", "--port", str(place.port)]
    return Launch(command=[place.program("mcp-proxy"), *options, "--", *SERVER])


def mcp_proxy_node(place: Place) -> Launch:
    script = place.installed / "node_modules" / ".bin" / "mcp-proxy"
    options = ["--host", "127.0.0.1", "--server", "stream", "--port", str(place.port)]
    return Launch(command=[node(), str(script.resolve()), *options, "--", *SERVER])


def slm_hub(place: Place) -> Launch:
    """Its own endpoint has tools about tools only; the one named after the server lets calls through."""
    file = place.work / "config.json"
    file.write_text(json.dumps({"port": place.port, "mcpServers": {"echo": COMMAND}}))
    options = ["--port", str(place.port), "--log-level", "ERROR", "--config", str(file)]
    return Launch(
        command=[place.program("slm-hub"), "start", *options],
        environment={"SLM_HUB_CONFIG_DIR": str(place.work)},
        enter=lambda: Entrance(url=f"{place.base}/mcp/echo"),
    )


def lasso(place: Place) -> Launch:
    file = place.work / "mcp.json"
    own = {"command": "unused", "args": [], "servers": {"echo": COMMAND}}
    file.write_text(json.dumps({"mcpServers": {"mcp-gateway": own}}))
    return Launch(command=[place.program("mcp-gateway"), "--mcp-json-path", str(file), "-p", "basic"])


def sovereign(place: Place) -> Launch:
    file = place.work / "gateway.json"
    audit = {"path": str(place.work / "audit.jsonl")}
    file.write_text(json.dumps({"servers": {"echo": COMMAND}, "policy": {"pii_policy": "warn"}, "audit": audit}))
    return Launch(command=[place.program("sovereign-mcp-gateway"), "--config", str(file)])


def agentveil(place: Place) -> Launch:
    """Its configuration is made by itself, and then changed: as made, it asks its vendor's service about each call."""
    program, home = place.program("agentveil-mcp-proxy"), place.work / "agentveil"
    arguments = [f"--downstream-arg={word}" for word in SERVER[1:]]
    options = ["--home", str(home), "--plaintext", "--downstream-name", "echo", "--downstream-command", SERVER[0]]
    ran([program, "init", *options, *arguments], place)
    file = home / "mcp-proxy" / "config.json"
    text = file.read_text().replace('"default_decision": "ask_backend"', '"default_decision": "allow"')
    file.write_text(text.replace('"mode": "protect"', '"mode": "observe"'))
    return Launch(command=[program, "run", "--home", str(home), "--approval-ui-mode", "none", "--headless"])


GATEWAYS = (
    Gateway(name="nginx", checks="knows no MCP", folder="nginx", form=TO_HTTP, launch=nginx),
    Gateway(name="fastmcp 4.1.2 proxy", checks="no checks", folder="fastmcp", form=TO_HTTP, launch=fastmcp),
    Gateway(
        name="fastmcp 4.1.2 proxy, one session shared",
        checks="no checks",
        folder="fastmcp",
        form=TO_HTTP,
        launch=fastmcp_shared,
    ),
    Gateway(
        name="mcp-proxy 0.13.0, PyPI",
        checks="no checks",
        folder="mcp-proxy",
        form=TO_PIPES,
        launch=mcp_proxy,
        eras=SESSIONS_ONLY,
    ),
    Gateway(name="mcp-proxy 6.7.19, npm", checks="no checks", folder="node", form=TO_PIPES, launch=mcp_proxy_node),
    Gateway(
        name="slm-mcp-hub 0.3.4",
        checks="counts calls",
        folder="slm-mcp-hub",
        form=TO_PIPES,
        launch=slm_hub,
        eras=SESSIONS_ONLY,
    ),
    Gateway(
        name="authmcp-gateway 1.2.74",
        checks="token, permission of the user",
        folder="authmcp-gateway",
        form=TO_HTTP,
        launch=authmcp,
        eras=SESSIONS_ONLY,
    ),
    Gateway(
        name="contextforge 1.1.0",
        checks="token, roles, metrics",
        folder="contextforge",
        form=TO_HTTP,
        launch=contextforge,
    ),
    Gateway(
        name="mcp-gateway 1.2.1 (Lasso)",
        checks="masks secrets",
        folder="lasso",
        form=PIPES,
        launch=lasso,
        eras=SESSIONS_ONLY,
    ),
    Gateway(
        name="sovereign-mcp-gateway 0.3.0",
        checks="policy, warns of personal data, chained log",
        folder="sovereign",
        form=PIPES,
        launch=sovereign,
    ),
    Gateway(
        name="agentveil-mcp-proxy 0.7.49",
        checks="policy, chained evidence",
        folder="agentveil",
        form=PIPES,
        launch=agentveil,
        eras=SESSIONS_ONLY,
    ),
)
