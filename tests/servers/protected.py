"""An MCP server of the official SDK that answers only whoever brings a token for it, checked with the issuer's keys.

Arguments: its port, the issuer, and the scope that it wants.
"""

import asyncio
import json
import sys
import urllib.request

import jwt
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer


class Keys:
    """The issuer's keys (RFC 7517), fetched when they are first needed."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._keys: dict[str, jwt.PyJWK] = {}

    def of(self, token: str) -> jwt.PyJWK:
        if not self._keys:
            with urllib.request.urlopen(f"{self.issuer}/jwks", timeout=5) as answer:
                self._keys = {key["kid"]: jwt.PyJWK(key) for key in json.load(answer)["keys"]}
        return self._keys[jwt.get_unverified_header(token)["kid"]]


class Verifier:
    def __init__(self, keys: Keys, resource: str) -> None:
        self.keys = keys
        self.resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            key = await asyncio.to_thread(self.keys.of, token)
            claims = jwt.decode(
                token, key, algorithms=["RS256"], audience=self.resource, issuer=self.keys.issuer, leeway=0
            )
        except (jwt.PyJWTError, KeyError, OSError, ValueError):
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims.get("scope", "").split(),
            expires_at=claims["exp"],
            subject=claims["sub"],
        )


def main(port: int, issuer: str, scope: str) -> None:
    resource = f"http://127.0.0.1:{port}/mcp"
    server = MCPServer(
        "protected",
        token_verifier=Verifier(Keys(issuer), resource),
        auth=AuthSettings(
            issuer_url=issuer,
            resource_server_url=resource,
            required_scopes=[scope],
            validate_token_resource=False,
        ),
    )

    @server.tool()
    def whoami() -> str:
        """Say who is logged in."""
        token = get_access_token()
        return f"{token.subject} until {token.expires_at}" if token else "nobody"

    server.run("streamable-http", host="127.0.0.1", port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
