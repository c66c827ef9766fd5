"""How the SDK's client logs in at the suite's servers: the measure for the gateway, and no part of it."""

import json
import os
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.auth.utils import build_protected_resource_metadata_discovery_urls
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

# The suite looks for this very address.
DOCUMENT = "https://conformance-test.local/client-metadata.json"
COMES_BACK = "http://localhost:3000/callback"


class Memory:
    """Keeps tokens and registration for one run."""

    def __init__(self, known: OAuthClientInformationFull | None = None) -> None:
        self.tokens: OAuthToken | None = None
        self.known = known

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.known

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.known = client_info


class Browser:
    """Opens the page, and gives what the redirect says."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    async def open(self, page: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(page, follow_redirects=False)
        self.fields = dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def came_back(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(
            code=self.fields["code"], state=self.fields.get("state"), iss=self.fields.get("iss")
        )


async def provider(scenario: str, url: str) -> httpx2.Auth:
    """What the scenario wants a client to log in with."""
    given: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    match scenario:
        case "auth/client-credentials-basic":
            return ClientCredentialsOAuthProvider(
                server_url=url,
                storage=Memory(),
                client_id=given["client_id"],
                client_secret=given["client_secret"],
                token_endpoint_auth_method="client_secret_basic",
            )
        case "auth/client-credentials-jwt":
            signed = SignedJWTParameters(
                issuer=given["client_id"],
                subject=given["client_id"],
                signing_algorithm=given["signing_algorithm"],
                signing_key=given["private_key_pem"],
            )
            return PrivateKeyJWTOAuthProvider(
                server_url=url,
                storage=Memory(),
                client_id=given["client_id"],
                assertion_provider=signed.create_assertion_provider(),
            )
        case "auth/enterprise-managed-authorization":
            return await _enterprise(url, given)
        case _:
            return _in_browser(url, given)


def _in_browser(url: str, given: dict[str, Any]) -> OAuthClientProvider:
    browser, known = Browser(), None
    if client_id := given.get("client_id"):
        secret = given.get("client_secret")
        known = OAuthClientInformationFull(
            client_id=client_id,
            client_secret=secret,
            redirect_uris=[AnyUrl(COMES_BACK)],
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
        )
    return OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="conformance",
            redirect_uris=[AnyUrl(COMES_BACK)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        ),
        storage=Memory(known),
        redirect_handler=browser.open,
        callback_handler=browser.came_back,
        client_metadata_url=DOCUMENT,
    )


async def _enterprise(url: str, given: dict[str, Any]) -> IdentityAssertionOAuthProvider:
    async with httpx2.AsyncClient(trust_env=False) as http:
        metadata = await http.get(build_protected_resource_metadata_discovery_urls(None, url)[0])

    async def assertion(audience: str, resource: str) -> str:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
            "subject_token": given["idp_id_token"],
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "audience": audience,
            "resource": resource,
            "client_id": given["idp_client_id"],
        }
        async with httpx2.AsyncClient(trust_env=False) as http:
            return str((await http.post(given["idp_token_endpoint"], data=form)).json()["access_token"])

    return IdentityAssertionOAuthProvider(
        server_url=url,
        storage=Memory(),
        client_id=given["client_id"],
        client_secret=given["client_secret"],
        issuer=metadata.json()["authorization_servers"][0],
        assertion_provider=assertion,
        token_endpoint_auth_method="client_secret_basic",
    )
