import pytest

from tests.control.conftest import Room
from ztmcp_desktop.control.configuration import Configuration
from ztmcp_desktop.control.preferences import is_origin
from ztmcp_desktop.domain.consent import Proposal, Verdict
from ztmcp_desktop.domain.denial import Code, Denial

WRITTEN = "# mine\npatience_s = 30 # I read slowly\n\n[servers.files] # the first\ncommand = ['node']\n"


@pytest.mark.parametrize(
    "given",
    [
        {"patience_s": 0},
        {"patience_s": 601},
        {"patience_s": "60"},
        {"port": 0},
        {"port": 65536},
        {"port": 80.5},
        {"port": True},
        {"settle_ms": 700},
        {"allowed_origins": ["*"]},
        {"allowed_origins": ["null"]},
        {"allowed_origins": "https://app.example"},
        {"patience_s": 90, "port": 0},
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_is_written(room: Room, given: dict[str, object]) -> None:
    room.home.config_file.write_text(WRITTEN)
    room.configuration.adopt()
    with pytest.raises(Denial) as caught:
        await room.plane.ask("settings.set", given)
    assert caught.value.code is Code.SCHEMA_MISMATCH
    assert room.home.config_file.read_text() == WRITTEN
    assert room.configuration.settings.patience_s == 30.0
    assert room.ledger.rows == []


@pytest.mark.parametrize(
    "text",
    [
        "https://app.example/",
        "https://APP.example",
        "file://x",
        "app.example",
        "https://a.example:x",
        "https://me@a.example",
        "https://a.example?x",
        "https://аpp.example",  # noqa: RUF001 - a Cyrillic letter
        "https://a.exam\u202eple",
        "",
    ],
)
def test_what_no_browser_sends_is_no_origin(text: str) -> None:
    assert not is_origin(text)


@pytest.mark.parametrize("text", ["https://app.example", "http://localhost:5173", "http://[::1]:8080"])
def test_scheme_host_and_port_are_an_origin(text: str) -> None:
    assert is_origin(text)


async def test_the_file_keeps_its_comments_and_its_servers(room: Room) -> None:
    room.home.config_file.write_text(WRITTEN)
    room.configuration.adopt()
    await room.plane.ask("settings.set", {"patience_s": 90, "port": 7500, "allowed_origins": ["https://app.example"]})
    text = room.home.config_file.read_text()
    for comment in ("# mine", "# I read slowly", "# the first"):
        assert comment in text
    again = Configuration(room.home.config_file)
    assert (again.settings.patience_s, again.settings.port) == (90.0, 7500)
    assert again.settings.allowed_origins == ("https://app.example",)
    assert [server.name for server in again.all()] == ["files"]
    assert room.kinds() == ["settings set"]


async def test_it_says_what_counts_only_after_a_restart(room: Room) -> None:
    room.front.port = 7420
    assert (await room.plane.ask("settings.show", {}))["after_restart"] == []
    shown = await room.plane.ask("settings.set", {"patience_s": 90, "port": 7500})
    assert shown["after_restart"] == ["patience_s", "port"]
    assert shown["in_use"]["port"] == 7420
    assert shown["settings"] == {"patience_s": 90.0, "port": 7500, "allowed_origins": []}
    shown = await room.plane.ask("settings.set", {"patience_s": 60, "port": 7420})
    assert shown["after_restart"] == []


async def test_a_change_does_not_let_an_edit_by_hand_in(room: Room) -> None:
    room.home.config_file.write_text("allowed_origins = ['https://evil.example']\n")
    await room.plane.ask("settings.set", {"patience_s": 90})
    assert room.configuration.settings.allowed_origins == ()
    assert (await room.plane.ask("settings.show", {}))["settings"]["allowed_origins"] == []
    edited = await room.plane.ask("edited", {})
    assert [what for what, _ in edited["changed"]] == ["setting allowed_origins"]


@pytest.mark.attack("C6")
async def test_from_outside_the_person_is_shown_what_changes_and_asked(room: Room) -> None:
    room.front.screen, room.desk.verdict = True, Verdict.DENY
    with pytest.raises(Denial):
        await room.outside.ask("settings.set", {"allowed_origins": ["https://evil.example"], "port": 7420})
    proposal = room.desk.tickets[0].question
    assert isinstance(proposal, Proposal)
    assert ("allowed_origins", "none → https://evil.example") in proposal.facts
    assert not [what for what, _ in proposal.facts if what == "port"]
    assert room.configuration.settings.allowed_origins == ()


@pytest.mark.attack("C1")
async def test_only_the_files_that_were_looked_at_are_used(room: Room) -> None:
    room.home.config_file.write_text("patience_s = 5\n")
    seen = (await room.plane.ask("edited", {}))["changed"]
    room.home.config_file.write_text("patience_s = 600\n")
    with pytest.raises(Denial) as caught:
        await room.plane.ask("reload", {"seen": seen})
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL
    assert room.configuration.settings.patience_s == 60.0
    await room.plane.ask("reload", {"seen": (await room.plane.ask("edited", {}))["changed"]})
    assert room.configuration.settings.patience_s == 600.0


@pytest.mark.attack("C12")
async def test_a_change_that_cannot_be_recorded_is_taken_back(room: Room) -> None:
    room.ledger.broken = True
    with pytest.raises(Denial):
        await room.plane.ask("settings.set", {"allowed_origins": ["https://evil.example"]})
    assert room.configuration.settings.allowed_origins == ()
    assert Configuration(room.home.config_file).settings.allowed_origins == ()
