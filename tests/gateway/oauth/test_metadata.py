import pytest

from tests.gateway.front import Front, front_door
from tests.gateway.oauth.kit import READ, Browser
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.gateway.oauth.metadata import server_of

SERVER_METADATA = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource"


async def test_each_server_is_a_resource_of_its_own_and_asks_for_the_least(front: Front) -> None:
    answer = await Browser(front).get(f"{RESOURCE}/s/files/mcp")

    issuer = f"http://127.0.0.1:{front.port}"
    assert (answer.status, answer.header("cache-control")) == (200, "no-store")
    assert answer.json == {
        "resource": front.url("files"),
        "authorization_servers": [issuer],
        "scopes_supported": [READ],
        "bearer_methods_supported": ["header"],
        "resource_name": "files, through ztmcp",
    }


async def test_nobody_learns_which_servers_there_are(front: Front) -> None:
    browser = Browser(front)
    known = await browser.get(f"{RESOURCE}/s/files/mcp")
    unknown = await browser.get(f"{RESOURCE}/s/ghost/mcp")
    root = await browser.get(RESOURCE)
    server = await browser.get(SERVER_METADATA)

    assert known.body.replace(b"files", b"ghost") == unknown.body
    for answer in (root, server):
        assert b"files" not in answer.body
        assert b"mail" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_the_issuer_is_the_address_that_was_used(front: Front, host: str) -> None:
    at = f"{host}:{front.port}"
    found = (await Browser(front).get(SERVER_METADATA, Host=at)).json

    assert found["issuer"] == f"http://{at}"
    for key in ("authorization", "token", "registration", "revocation"):
        assert found[f"{key}_endpoint"].startswith(f"http://{at}/")
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["token_endpoint_auth_methods_supported"] == ["none"]


async def test_documents_are_said_to_be_read_only_where_they_are(front: Front) -> None:
    class Some:
        available = True

        async def fetch(self, url: str) -> dict[str, object]:
            return {}

    assert (await Browser(front).get(SERVER_METADATA)).json["client_id_metadata_document_supported"] is False
    async with front_door(documents=Some()) as other:
        assert (await Browser(other).get(SERVER_METADATA)).json["client_id_metadata_document_supported"] is True


@pytest.mark.parametrize("path", [SERVER_METADATA, RESOURCE, f"{RESOURCE}/s/files/mcp", "/authorize"])
async def test_nothing_is_posted_to_what_is_only_read(front: Front, path: str) -> None:
    assert (await front.post({}, path=path)).status == 405


@pytest.mark.attack("O4")
@pytest.mark.parametrize(
    "resource",
    [
        "http://127.0.0.1:1/s/files/mcp",
        "https://127.0.0.1:7420/s/files/mcp",
        "http://127.0.0.1:7420/s/files/mcp/",
        "http://127.0.0.1:7420/s/files/mcp#x",
        "http://127.0.0.1:7420/s/files/mcp?x",
        "http://127.0.0.1:7420/s/FILES/mcp",
        "http://127.0.0.1:7420/s/../s/files/mcp",
        "http://user@127.0.0.1:7420/s/files/mcp",
        "http://evil.example:7420/s/files/mcp",
        "http://127.0.0.1:7420",
        "http://127.0.0.1:abc/s/files/mcp",
        "http://[::1/s/files/mcp",
        "files",
        "",
    ],
)
def test_no_other_text_is_a_resource_of_ours(resource: str) -> None:
    assert server_of(resource, 7420) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_resource_is_known_by_each_of_our_addresses(host: str) -> None:
    assert server_of(f"http://{host}:7420/s/files/mcp", 7420) == ServerName("files")
