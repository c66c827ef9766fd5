import pytest

from tests.fakes import make_call
from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.offer import Era, ItemKind, Offer
from ztmcp_desktop.gateway.listing import Listing

TOOL = {"name": "t", "inputSchema": {"type": "object"}, "_meta": {"x": None}}
LEGACY = Offer(
    legacy={
        "protocolVersion": "2024-11-05",
        "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "logging": {}},
        "serverInfo": {"name": "s", "version": "2"},
        "instructions": "words",
    },
    items={ItemKind.TOOL: (TOOL,)},
)
MODERN = Offer(
    modern={
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"prompts": {}},
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "m", "version": "3"}},
    },
    items={ItemKind.PROMPT: ({"name": "p"},)},
)


class Approved:
    def __init__(self, offer: Offer | None) -> None:
        self._offer = offer

    def offer(self, server: ServerName) -> Offer:
        if self._offer is None:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, "changed")
        return self._offer


def ask(offer: Offer | None, method: str, params: JsonObject | None = None, era: Era = Era.LEGACY) -> Reply:
    made = make_call(method=method, params=params or {})
    call = Call(
        id=made.id,
        at=made.at,
        principal=made.principal,
        server=made.server,
        method=method,
        params=made.params,
        era=era,
        channel=made.channel,
    )
    return Listing(Approved(offer)).answer(call)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["initialize", "ping", "tools/list", "logging/setLevel"])
def test_a_server_that_changed_answers_nothing(method: str) -> None:
    with pytest.raises(Denial):
        ask(None, method, {"protocolVersion": "2025-11-25"})


@pytest.mark.parametrize(
    ("era", "method"),
    [
        (Era.LEGACY, "server/discover"),
        (Era.LEGACY, "subscriptions/listen"),
        (Era.LEGACY, "tools/call"),
        (Era.LEGACY, "x"),
        (Era.MODERN, "initialize"),
        (Era.MODERN, "ping"),
        (Era.MODERN, "logging/setLevel"),
        (Era.MODERN, "subscriptions/listen"),
        (Era.LEGACY, "prompts/list"),
    ],
)
def test_what_the_era_or_the_server_does_not_have_is_not_found(era: Era, method: str) -> None:
    reply = ask(LEGACY, method, era=era)

    assert (reply.is_error, reply.body["code"]) == (True, -32601)


def test_a_cursor_that_we_never_gave_is_refused() -> None:
    assert ask(LEGACY, "tools/list", {"cursor": "2"}).body["code"] == -32602


@pytest.mark.parametrize("params", [{}, {"protocolVersion": 1}, {"protocolVersion": "x", "capabilities": []}])
def test_an_initialize_without_its_members_is_refused(params: JsonObject) -> None:
    assert ask(LEGACY, "initialize", params).body["code"] == -32602


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ],
)
def test_the_version_is_the_clients_if_we_speak_it(wanted: str, given: str) -> None:
    assert ask(LEGACY, "initialize", {"protocolVersion": wanted}).body["protocolVersion"] == given


def test_initialize_gives_what_was_approved_and_the_changes_that_the_server_tells_of() -> None:
    assert ask(LEGACY, "initialize", {"protocolVersion": "2025-11-25"}).body == {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "logging": {}},
        "serverInfo": {"name": "s", "version": "2"},
        "instructions": "words",
    }


def test_each_era_is_made_of_the_other() -> None:
    discovered = ask(LEGACY, "server/discover", era=Era.MODERN).body
    initialized = ask(MODERN, "initialize", {"protocolVersion": "2025-11-25"}).body

    assert discovered["supportedVersions"] == ["2026-07-28"]
    assert discovered["instructions"] == "words"
    assert discovered["_meta"]["io.modelcontextprotocol/serverInfo"] == {"name": "s", "version": "2"}
    assert (discovered["cacheScope"], discovered["resultType"]) == ("private", "complete")
    assert (initialized["serverInfo"], initialized["capabilities"]) == ({"name": "m", "version": "3"}, {"prompts": {}})
    assert "instructions" not in initialized


def test_items_are_listed_raw_and_an_announced_kind_may_be_empty() -> None:
    assert ask(LEGACY, "tools/list").body == {"tools": [TOOL]}
    assert ask(LEGACY, "resources/templates/list").body == {"resourceTemplates": []}
    assert ask(MODERN, "prompts/list", era=Era.MODERN).body == {"prompts": [{"name": "p"}]}
