"""What the gateway says of itself: protected resources (RFC 9728), the authorization server (RFC 8414), challenges."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from ztmcp_desktop.domain.client import Right, scopes
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName, is_name
from ztmcp_desktop.gateway.host_filter import HOSTS

RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
AUTHORIZE, WAIT, TOKEN, REGISTER, REVOKE = "/authorize", "/authorize/wait", "/token", "/register", "/revoke"


def issuer_of(host: str) -> str:
    """The issuer for a request whose Host header, which was checked, is `host`."""
    return f"http://{host}"


def resource_of(host: str, server: ServerName) -> str:
    """The resource identifier of a server's endpoint (RFC 8707)."""
    return f"http://{host}/s/{server}/mcp"


def server_of(untrusted_resource: str, port: int) -> ServerName | None:
    """The server whose endpoint this resource is, by whichever of our own addresses; None for any other text."""
    try:
        parts = urlsplit(untrusted_resource)
    except ValueError:
        return None
    name = parts.path.removeprefix("/s/").removesuffix("/mcp")
    if parts.netloc not in {f"{host}:{port}" for host in HOSTS} or not is_name(name):
        return None
    # Put together again and compared, so that nothing else is in it.
    return ServerName(name) if untrusted_resource == resource_of(parts.netloc, ServerName(name)) else None


def resource_document(host: str, server: ServerName) -> JsonObject:
    """The metadata of one endpoint; whether there is such a server is not said. Scopes are the smallest."""
    return {
        "resource": resource_of(host, server),
        "authorization_servers": [issuer_of(host)],
        "scopes_supported": [scopes(server, {Right.READ})],
        "bearer_methods_supported": ["header"],
        "resource_name": f"{server}, through ztmcp",
    }


def root_document(host: str) -> JsonObject:
    """For clients that ask for the metadata of the whole origin: where to log in, and nothing of what is behind it."""
    return {
        "resource": issuer_of(host),
        "authorization_servers": [issuer_of(host)],
        "bearer_methods_supported": ["header"],
    }


def server_document(host: str, *, reads_documents: bool) -> JsonObject:
    """The metadata of the authorization server; what is not in it is not done.

    `reads_documents`: whether a client's id may be the address of a document that describes it.
    """
    issuer = issuer_of(host)
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "registration_endpoint": issuer + REGISTER,
        "revocation_endpoint": issuer + REVOKE,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": reads_documents,
    }


def unauthenticated(host: str, server: ServerName, *, shown: bool) -> bytes:
    """The challenge to a request without a token that is good here (RFC 6750, 3); `shown`: it had one."""
    error = 'error="invalid_token", ' if shown else ""
    return f"Bearer {error}{_where(host, server, {Right.READ})}".encode()


def insufficient(host: str, server: ServerName, needed: Iterable[Right]) -> bytes:
    """The challenge to a token whose scopes do not reach: all that this request needs."""
    return f'Bearer error="insufficient_scope", {_where(host, server, needed)}'.encode()


def _where(host: str, server: ServerName, rights: Iterable[Right]) -> str:
    address = f"{issuer_of(host)}{RESOURCE_METADATA}/s/{server}/mcp"
    return f'resource_metadata="{address}", scope="{scopes(server, rights)}"'
