"""A client of OAuth in a few lines, for what the real ones do not let through."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.gateway.front import Front, Response, request

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:4312/callback"
READ, CALL = "server:files:read", "server:files:call"


def query_of(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


@dataclass
class Browser:
    """Goes where it is sent, as a browser does, as far as the gateway; no further."""

    front: Front
    seen: list[Response] = field(default_factory=list)

    async def get(self, path: str, **headers: str) -> Response:
        given = {"Host": f"127.0.0.1:{self.front.port}", "Sec-Fetch-Site": "none"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.front.raw(request(b"", given, path=path, method="GET"))
        self.seen.append(answer)
        return answer


@dataclass
class OAuthClient:
    front: Front
    id: str = ""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    async def post(self, path: str, body: bytes, content_type: str, **headers: str) -> Response:
        given = {"Host": f"127.0.0.1:{self.front.port}", "Content-Type": content_type}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.front.raw(request(body, given, path=path, method="POST"))

    async def form(self, path: str, **parameters: str) -> Response:
        return await self.post(path, urlencode(parameters).encode(), "application/x-www-form-urlencoded")

    async def register(self, **changes: Any) -> Response:
        asked = {"client_name": "Inspector", "redirect_uris": [REDIRECT], **changes}
        answer = await self.post("/register", json.dumps(asked).encode(), "application/json")
        if answer.status == 201:
            self.id = answer.json["client_id"]
        return answer

    def asking(self, **changes: str | None) -> str:
        """The address that a client opens in the browser."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": REDIRECT,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": self.front.url(),
            "scope": READ,
            "state": "s1",
            **changes,
        }
        return "/authorize?" + urlencode({key: value for key, value in parameters.items() if value is not None})

    async def answer(self, **changes: str | None) -> dict[str, str]:
        """What comes back to the redirect URI."""
        browser = Browser(self.front)
        first = await browser.get(self.asking(**changes))
        where = first.header("location") or ""
        if where.startswith("/authorize/wait"):
            where = (await browser.get(f"{where}&again=1")).header("location") or ""
        return query_of(where)

    async def exchange(self, code: str, **changes: str) -> Response:
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "client_id": self.id,
            "code_verifier": VERIFIER,
            "resource": self.front.url(),
            **changes,
        }
        return await self.form("/token", **parameters)

    async def refresh(self, token: str, **changes: str) -> Response:
        return await self.form(
            "/token", **{"grant_type": "refresh_token", "refresh_token": token, "client_id": self.id, **changes}
        )

    async def log_in(self, **changes: str | None) -> dict[str, Any]:
        """Register if need be, be let in, and give the token answer."""
        if not self.id:
            self.front.pairing.open(60)
            await self.register()
        answered = await self.exchange((await self.answer(**changes))["code"])
        found: dict[str, Any] = answered.json
        assert answered.status == 200, found
        return found
