"""A protected MCP server and its authorization server, whose answers the test writes, and a browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web

from tests.gateway.remote_site import Site

PRM = "/.well-known/oauth-protected-resource/mcp"
ASM = "/.well-known/oauth-authorization-server"


@dataclass
class LoginSite:
    """Both servers at one origin. What a test sets in `prm`, `asm`, `redirect` and `grant` goes over what is honest."""

    site: Site = field(default_factory=Site)
    base: str = ""
    open: bool = False
    accepted: set[str] = field(default_factory=set)
    challenge: str = 'Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp"'
    refuse: Callable[[str, dict[str, Any]], tuple[int, str] | None] = lambda _token, _body: None
    prm: dict[str, Any] = field(default_factory=dict)
    asm: dict[str, Any] = field(default_factory=dict)
    redirect: dict[str, str | None] = field(default_factory=dict)
    grant: dict[str, Any] = field(default_factory=dict)
    refuse_tokens: str = ""
    registered: list[dict[str, Any]] = field(default_factory=list)
    authorized: list[dict[str, str]] = field(default_factory=list)
    token_requests: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    seen_tokens: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    made: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        answers = {"/mcp": self.guarded, "/register": self.register, "/authorize": self.authorize, "/token": self.token}
        if request.path in answers:
            return await answers[request.path](request)
        honest = {"resource": self.site.url, "authorization_servers": [self.base]}
        documents = {PRM: {**honest, **self.prm}, ASM: self.metadata()}
        return web.json_response(documents[request.path]) if request.path in documents else web.Response(status=404)

    async def register(self, request: web.Request) -> web.StreamResponse:
        self.registered.append(await request.json())
        return web.json_response({"client_id": f"client-{len(self.registered)}"}, status=201)

    def metadata(self) -> dict[str, Any]:
        honest = {
            "issuer": self.base,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "registration_endpoint": f"{self.base}/register",
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
        }
        return {key: value for key, value in {**honest, **self.asm}.items() if value is not None}

    async def guarded(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token:
            self.seen_tokens.append(token)
        body = json.loads(await request.read() or b"{}")
        status, challenge = 401, self.challenge.format(base=self.base)
        if self.open or token in self.accepted:
            refused = self.refuse(token, body)
            if refused is None:
                return await self.site.handle(request)
            status, challenge = refused
        return web.json_response({"error": "no"}, status=status, headers={"WWW-Authenticate": challenge})

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        self.authorized.append(asked)
        honest: dict[str, str | None] = {"code": "code-1", "state": asked["state"], "iss": self.base}
        fields = {key: value for key, value in {**honest, **self.redirect}.items() if value is not None}
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(fields)}")

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = dict(parse_qsl((await request.read()).decode()))
        self.token_requests.append((form, dict(request.headers)))
        if self.refuse_tokens:
            return web.json_response({"error": self.refuse_tokens}, status=400)
        self.made += 1
        token = f"upstream-{self.base.rpartition(':')[2]}-{self.made}"
        self.accepted = {token}
        honest = {"access_token": token, "token_type": "Bearer", "expires_in": 600, "refresh_token": f"r{self.made}"}
        return web.json_response({key: value for key, value in {**honest, **self.grant}.items() if value is not None})


@asynccontextmanager
async def login_site(**changes: Any) -> AsyncIterator[LoginSite]:
    found = LoginSite(**changes)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    found.site.url = f"{found.base}/mcp"
    yield found
    await runner.cleanup()


class Browser:
    """Opens pages and follows where they send it."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.ends: list[int] = []
        self._visits: set[asyncio.Task[None]] = set()

    def __call__(self, page: str) -> None:
        self.pages.append(page)
        task = asyncio.create_task(self._visit(page))
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    async def _visit(self, page: str) -> None:
        async with aiohttp.ClientSession() as session, session.get(page) as answer:
            self.ends.append(answer.status)
