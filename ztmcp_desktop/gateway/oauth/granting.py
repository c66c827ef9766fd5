"""Tokens for codes and for refresh tokens, and their revocation."""

from ztmcp_desktop.domain.client import read_scope, scopes
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway.oauth.codes import Claim, Codes
from ztmcp_desktop.gateway.oauth.logins import ClientLogins, LoggedIn, Tokens
from ztmcp_desktop.gateway.oauth.metadata import server_of
from ztmcp_desktop.gateway.oauth.parameters import OAuthError, Parameters
from ztmcp_desktop.ports import ClientBook


class Granting:
    """The token and the revocation endpoint, for public clients only."""

    def __init__(self, clients: ClientBook, logins: ClientLogins, codes: Codes, port: int) -> None:
        self._clients = clients
        self._logins = logins
        self._codes = codes
        self._port = port

    def grant(self, parameters: Parameters) -> JsonObject:
        """The token answer (OAuth 2.1, 3.2.3).

        Raises:
            OAuthError: refused.
        """
        client_id = parameters.need("client_id")
        match parameters.need("grant_type"):
            case "authorization_code":
                client = self._clients.registered(client_id)
                claim = Claim(
                    code=parameters.need("code"),
                    client=client.name if client else None,
                    client_id=client_id,
                    redirect_uri=parameters.need("redirect_uri"),
                    verifier=parameters.need("code_verifier"),
                    server=self._server(parameters),
                )
                tokens = self._codes.redeem(claim)
            case "refresh_token":
                tokens = self._refreshed(parameters, client_id)
            case _:
                raise OAuthError("unsupported_grant_type", "only codes and refresh tokens are exchanged")
        return _answer(tokens)

    def revoke(self, parameters: Parameters) -> None:
        """End the login that a token is of, if it is this client's (RFC 7009); an unknown token is no error.

        Raises:
            OAuthError: a parameter is missing.
        """
        token, client_id = parameters.need("token"), parameters.need("client_id")
        login = self._logins.find(token) or self._logins.named(token)
        if login is not None and self._is_of(login, client_id):
            self._logins.end(login.id)

    def _refreshed(self, parameters: Parameters, client_id: str) -> Tokens:
        token = parameters.need("refresh_token")
        login = self._logins.named(token)
        if login is None or not self._is_of(login, client_id):
            raise OAuthError(
                "invalid_grant", "there is no such refresh token of this client", code=Code.UNAUTHENTICATED
            )
        if self._server(parameters) not in {None, login.server}:
            raise OAuthError("invalid_target", "the login is to another resource", code=Code.NOT_PERMITTED)
        asked = [found for found in map(read_scope, (parameters.get("scope") or "").split(" ")) if found]
        if any(server != login.server or right not in login.rights for server, right in asked):
            raise OAuthError("invalid_scope", "that is more than this login was given; log in again to get more")
        if self._logins.take_lack(login.id):
            # Clients on the older TypeScript SDK refresh where they should ask for more, and then give up.
            raise OAuthError("invalid_grant", "this login does not reach so far; log in again for more")
        try:
            return self._logins.refresh(token)
        except Denial as denial:
            raise OAuthError("invalid_grant", denial.reason, code=denial.code) from None

    def _is_of(self, login: LoggedIn, client_id: str) -> bool:
        client = self._clients.registered(client_id)
        return client is not None and client.name == login.client

    def _server(self, parameters: Parameters) -> ServerName | None:
        """The server that the request names as its resource, None where it names none."""
        resource = parameters.get("resource")
        if resource is None:
            return None
        server = server_of(resource, self._port)
        if server is None:
            raise OAuthError("invalid_target", "the resource must be one of this gateway's endpoints")
        return server


def _answer(tokens: Tokens) -> JsonObject:
    return {
        "access_token": tokens.access.open(),
        "token_type": "Bearer",
        "expires_in": int(tokens.life_s),
        "refresh_token": tokens.refresh.open(),
        "scope": scopes(tokens.login.server, tokens.login.rights),
    }
