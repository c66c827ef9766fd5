import asyncio

import pytest

from tests.control.conftest import Room
from tests.fakes import FakeStateStore
from ztmcp_desktop.control.lock import StoredLockdown
from ztmcp_desktop.control.verbs import Verb
from ztmcp_desktop.domain.consent import Proposal, Verdict, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName

WIDENING = {
    "server.add",
    "server.approve-command",
    "server.login",
    "server.approve-offer",
    "client.add",
    "client.pair",
    "rule.add",
    "rule.remove",
    "unlock",
    "reload",
    "settings.set",
    "audit.prune",
}
RULE = 'permit (principal == Client::"a", action == Action::"call_without_asking", resource in Server::"files");'


async def refused(room: Room, verb: str, **arguments: object) -> Denial:
    with pytest.raises(Denial) as caught:
        await room.outside.ask(verb, dict(arguments))
    return caught.value


def test_all_that_widens_is_a_proposal(room: Room) -> None:
    assert {name for name, verb in room.plane.verbs.items() if verb.proposes is not None} == WIDENING


def test_no_verb_answers_a_question(room: Room) -> None:
    assert not [name for name in room.plane.verbs if any(word in name for word in ("consent", "answer", "allow"))]


async def test_an_unknown_verb_is_refused(room: Room) -> None:
    assert (await refused(room, "consent.allow")).code is Code.SCHEMA_MISMATCH


@pytest.mark.parametrize("verb", ["status", "lock", "server.list", "client.add", "rule.list", "secret.set"])
async def test_an_unknown_argument_is_refused(room: Room, verb: str) -> None:
    assert (await refused(room, verb, yes=True)).code is Code.SCHEMA_MISMATCH


@pytest.mark.attack("C6")
@pytest.mark.parametrize("verdict", [Verdict.DENY, None])
async def test_what_the_person_does_not_agree_to_is_not_done(room: Room, verdict: Verdict | None) -> None:
    await room.add_server()
    await room.approve()
    room.front.screen, room.desk.verdict, room.desk.present = True, verdict, verdict is not None
    denial = await refused(room, "client.add", name="evil")
    assert denial.code in {Code.REFUSED_BY_PERSON, Code.NOBODY_THERE}
    assert room.clients.all() == ()
    last = room.ledger.rows[-1]
    assert (last.method, last.outcome and last.outcome.value) == ("client.add", "denied")
    await refused(room, "rule.add", id="mine", text=RULE)
    assert [rule.id for rule in room.rules.all()] == ["default"]
    await refused(room, "server.add", name="more", argv=["sh"])
    assert [server.name for server in room.configuration.all()] == ["files"]


async def test_no_answer_in_time_is_a_no(room: Room) -> None:
    await room.add_server()
    await room.approve()
    room.front.screen = True
    asking = asyncio.ensure_future(room.outside.ask("client.add", {"name": "late"}))
    for _ in range(20):
        await asyncio.sleep(0)
    await room.clock.advance(121)
    with pytest.raises(Denial) as caught:
        await asking
    assert caught.value.code is Code.NO_ANSWER
    assert room.desk.tickets[0].withdrawn is Withdrawal.TOO_LATE
    assert room.clients.all() == ()


async def test_whoever_goes_away_takes_the_proposal_along(room: Room) -> None:
    room.front.screen = True
    asking = asyncio.ensure_future(room.outside.ask("server.add", {"name": "files", "argv": ["node"]}))
    for _ in range(20):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert room.desk.tickets[0].withdrawn is Withdrawal.CLIENT_GAVE_UP
    assert room.configuration.all() == ()


@pytest.mark.attack("C1")
async def test_what_changed_while_it_was_asked_about_is_not_done(room: Room) -> None:
    room.front.screen = True
    room.home.config_file.write_text("patience_s = 5\n")
    asking = asyncio.ensure_future(room.outside.ask("reload", {}))
    for _ in range(20):
        await asyncio.sleep(0)
    room.home.config_file.write_text("patience_s = 600\n")
    ticket = room.desk.tickets[0]
    from ztmcp_desktop.domain.consent import Answer, Scope

    ticket.play(Answer(verdict=Verdict.ALLOW, scope=Scope.ONCE, digest=ticket.question.digest))
    with pytest.raises(Denial, match="changed while"):
        await asking
    assert room.configuration.settings.patience_s == 60.0


async def test_a_yes_does_just_what_was_shown(room: Room) -> None:
    room.front.screen, room.desk.verdict = True, Verdict.ALLOW
    await room.outside.ask("server.add", {"name": "files", "argv": ["node", "a b"], "env": {"A": "1"}})
    proposal = room.desk.tickets[0].question
    assert isinstance(proposal, Proposal)
    assert ("Command", "node\na b") in proposal.facts
    assert ("Variable A", "1") in proposal.facts
    assert [server.name for server in room.configuration.all()] == ["files"]


async def test_without_a_screen_it_is_done_at_once(room: Room) -> None:
    await room.outside.ask("server.add", {"name": "files", "argv": ["node"]})
    assert room.desk.tickets == []
    assert [server.name for server in room.configuration.all()] == ["files"]


async def test_a_verb_that_takes_too_long_fails(room: Room) -> None:
    async def never(_arguments: JsonObject) -> JsonObject:
        await asyncio.Event().wait()
        return {}

    room.plane.verbs["slow"] = Verb(do=never, patience_s=0.01)
    assert (await refused(room, "slow")).code is Code.TOO_SLOW


@pytest.mark.attack("C13")
async def test_lock_stops_all_and_survives_a_restart(room: Room) -> None:
    await room.plane.ask("lock", {})
    assert room.lockdown.locked
    assert len(room.flight.aborted) == 1
    assert room.upstreams.stopped == [(None, None)]
    assert StoredLockdown(room.state).locked
    await room.plane.ask("unlock", {})
    assert not StoredLockdown(room.state).locked
    assert room.kinds() == ["lock lock", "lock unlock"]


@pytest.mark.attack("C12", "C13")
async def test_a_lock_that_cannot_be_written_down_holds_all_the_same(room: Room) -> None:
    class Full(FakeStateStore):
        def save(self, name: str, record: JsonObject) -> None:
            raise Denial(Code.GATEWAY_FAULT, "the disk is full")

    room.lockdown._state = Full()
    with pytest.raises(Denial, match="full"):
        await room.plane.ask("lock", {})
    assert room.lockdown.locked
    assert room.upstreams.stopped == [(None, None)]


@pytest.mark.attack("C12")
def test_a_forged_lock_record_counts_as_locked() -> None:
    class Forged(FakeStateStore):
        def load(self, name: str) -> JsonObject | None:
            raise Denial(Code.GATEWAY_FAULT, "not written by us")

    assert StoredLockdown(Forged()).locked


async def test_unlock_is_not_done_when_it_cannot_be_recorded(room: Room) -> None:
    await room.plane.ask("lock", {})
    room.ledger.broken = True
    with pytest.raises(Denial):
        await room.plane.ask("unlock", {})
    assert room.lockdown.locked


async def test_a_client_gets_named_servers_only(room: Room) -> None:
    await room.add_server()
    await room.approve()
    await room.add_server("later")
    room.front.port = 7777
    made = await room.plane.ask("client.add", {"name": "a"})
    assert made["endpoints"] == {"files": "http://127.0.0.1:7777/s/files/mcp"}
    assert room.clients.all()[0].servers == ("files",)
    with pytest.raises(Denial, match="no server nowhere"):
        await room.plane.ask("client.add", {"name": "b", "servers": ["files", "nowhere"]})
    assert [client.name for client in room.clients.all()] == ["a"]
    assert made["token"] not in str(room.ledger.rows)
    assert made["token"] not in str(room.state.records)


async def test_a_client_that_cannot_be_recorded_is_not_made(room: Room) -> None:
    await room.add_server()
    await room.approve()
    room.ledger.broken = True
    with pytest.raises(Denial):
        await room.plane.ask("client.add", {"name": "a"})
    assert room.clients.all() == ()


@pytest.mark.attack("N3")
async def test_revoking_a_client_ends_all_that_it_had(room: Room) -> None:
    await room.add_server()
    await room.approve()
    made = await room.plane.ask("client.add", {"name": "a"})
    await room.plane.ask("client.revoke", {"name": "a"})
    with pytest.raises(Denial):
        room.clients.authenticate(made["token"], ServerName("files"))
    assert (None, "a") in room.upstreams.stopped
    assert len(room.flight.aborted) == 1


@pytest.mark.attack("P5")
async def test_a_secret_is_in_the_keychain_and_nowhere_else(room: Room) -> None:
    await room.add_server(secret_env={"TOKEN": "token"})
    assert "There is no secret token" in (await room.plane.ask("server.show", {"name": "files"}))["warnings"][0]
    await room.plane.ask("secret.set", {"name": "token", "value": "hunter2"})
    assert room.vault.values == {"secret/token": "hunter2"}
    assert ("files", None) in room.upstreams.stopped
    listed = await room.plane.ask("secret.list", {})
    assert listed == {"names": [{"name": "token", "given_to": ["files"]}]}
    written = str(room.ledger.rows) + str(room.state.records) + room.home.config_file.read_text()
    assert "hunter2" not in written
    await room.plane.ask("secret.remove", {"name": "token"})
    assert room.vault.values == {}


async def test_a_locked_keychain_stores_no_secret(room: Room) -> None:
    room.vault.locked = True
    with pytest.raises(Denial, match="locked"):
        await room.plane.ask("secret.set", {"name": "token", "value": "hunter2"})
    assert room.kinds() == []


async def test_a_wrong_rule_changes_nothing_and_names_the_line(room: Room) -> None:
    with pytest.raises(Denial, match=r"mine\.cedar:1"):
        await room.plane.ask("rule.add", {"id": "mine", "text": "permit (nonsense"})
    assert not list(room.home.rules.iterdir())
    assert room.kinds() == []


async def test_rules_come_and_go_on_record(room: Room) -> None:
    await room.plane.ask("rule.add", {"id": "mine", "text": RULE})
    assert [rule["id"] for rule in (await room.plane.ask("rule.list", {}))["rules"]] == ["default", "mine"]
    await room.plane.ask("rule.remove", {"id": "mine"})
    assert room.kinds() == ["rule add", "rule remove"]


async def test_explain_says_whether_the_person_is_asked(room: Room) -> None:
    await room.add_server()
    await room.approve()
    await room.plane.ask("client.add", {"name": "a"})
    asked = {"client": "a", "server": "files", "tool": "read_file", "args": {}}
    assert (await room.plane.ask("rule.explain", asked))["asked"] is True
    await room.plane.ask("rule.add", {"id": "mine", "text": RULE})
    explained = await room.plane.ask("rule.explain", asked)
    assert (explained["permitted"], explained["asked"], explained["rules"]) == (True, False, ["mine"])


async def test_explain_runs_the_limits_as_a_call_does(room: Room) -> None:
    (room.base / "notes").mkdir()
    await room.add_server(folders=[[str(room.base / "notes"), "ro"]])
    await room.approve()
    await room.plane.ask("client.add", {"name": "a"})
    asked = {"client": "a", "server": "files", "tool": "read_file", "args": {"path": "/etc/passwd"}}
    explained = await room.plane.ask("rule.explain", asked)
    assert (explained["permitted"], explained["asked"], explained["code"]) == (False, False, "outside-limits")
    assert "outside" in explained["reason"]


@pytest.mark.parametrize("name", ["client", "server", "tool"])
async def test_explain_fails_for_what_is_not_there(room: Room, name: str) -> None:
    await room.add_server()
    await room.approve()
    await room.plane.ask("client.add", {"name": "a"})
    asked = {"client": "a", "server": "files", "tool": "read_file", "args": {}, name: "nobody"}
    with pytest.raises(Denial) as denied:
        await room.plane.ask("rule.explain", asked)
    assert denied.value.code is Code.NOT_PERMITTED


async def test_explain_says_that_a_client_has_no_token_for_the_server(room: Room) -> None:
    await room.add_server()
    await room.approve()
    await room.add_server("other")
    await room.approve("other")
    await room.plane.ask("client.add", {"name": "a", "servers": ["other"]})
    asked = {"client": "a", "server": "files", "tool": "read_file", "args": {}}
    assert (await room.plane.ask("rule.explain", asked))["code"] == "unauthenticated"


async def test_the_shipped_rule_stays_and_the_refusal_says_what_to_do(room: Room) -> None:
    with pytest.raises(Denial, match="add a rule of your own"):
        await room.plane.ask("rule.remove", {"id": "default"})


async def test_status_says_how_it_is(room: Room) -> None:
    await room.add_server()
    status = await room.plane.ask("status", {})
    assert status["running"] is False
    assert status["servers"] == [{"name": "files", "approval": "proposed", "running": False}]
    assert status["locked"] is False


async def test_a_broken_rule_file_fails_the_reload_and_status_says_that_nothing_is_allowed(room: Room) -> None:
    assert (await room.plane.ask("status", {}))["rules"] == {"work": True, "reason": ""}
    (room.home.rules / "mine.cedar").write_text("permit (nonsense")
    with pytest.raises(Denial) as refused:
        await room.plane.ask("reload", {})
    assert refused.value.code is Code.NOT_PERMITTED
    rules = (await room.plane.ask("status", {}))["rules"]
    assert rules["work"] is False
    assert "a rule is broken, so nothing is allowed: mine.cedar:1" in rules["reason"]


async def test_a_broken_settings_file_is_a_failure_and_no_wrong_usage(room: Room) -> None:
    room.home.config_file.write_text("prot = 1\n")
    with pytest.raises(Denial, match="line 1") as refused:
        await room.plane.ask("reload", {})
    assert refused.value.code is Code.GATEWAY_FAULT


async def test_without_a_window_none_is_raised(room: Room) -> None:
    with pytest.raises(Denial, match="without a window"):
        await room.plane.ask("raise", {})


@pytest.mark.attack("C12")
async def test_a_rule_that_cannot_be_recorded_does_not_count(room: Room) -> None:
    room.ledger.broken = True
    with pytest.raises(Denial):
        await room.plane.ask("rule.add", {"id": "wide", "text": "permit (principal, action, resource);"})
    listed = await room.plane.ask("rule.list", {})
    assert "wide" not in repr(listed)


@pytest.mark.attack("C12")
async def test_a_rule_whose_removal_cannot_be_recorded_still_counts(room: Room) -> None:
    await room.plane.ask("rule.add", {"id": "never", "text": "forbid (principal, action, resource);"})
    room.ledger.broken = True
    with pytest.raises(Denial):
        await room.plane.ask("rule.remove", {"id": "never"})
    assert "never" in repr(await room.plane.ask("rule.list", {}))


@pytest.mark.attack("C12")
async def test_edited_files_do_not_count_when_that_cannot_be_recorded(room: Room) -> None:
    room.home.config_file.write_text('allowed_origins = ["https://evil.example"]')
    room.ledger.broken = True
    with pytest.raises(Denial):
        await room.plane.ask("reload", {})
    assert room.configuration.settings.allowed_origins == ()


@pytest.mark.attack("N3")
async def test_a_client_of_the_bridge_is_added_by_its_program_and_gets_no_token(room: Room) -> None:
    await room.add_server()
    for wrong in ("claude", "./claude", " /opt/claude"):
        with pytest.raises(Denial) as refused:
            await room.plane.ask("client.add", {"name": "a", "servers": ["files"], "program": wrong})
        assert refused.value.code is Code.SCHEMA_MISMATCH
    made = await room.plane.ask("client.add", {"name": "a", "servers": ["files"], "program": "/opt/claude"})
    assert set(made) == {"client", "program", "servers", "expires"}
    [client] = (await room.plane.ask("client.list", {}))["clients"]
    assert (client["program"], client["first_seen"], client["last_seen"]) == ("/opt/claude", None, None)
    with pytest.raises(Denial):
        await room.plane.ask("client.add", {"name": "b", "servers": ["files"], "program": "/opt/claude"})


async def test_with_a_screen_a_client_of_the_bridge_is_a_proposal_that_names_its_program(room: Room) -> None:
    await room.add_server()
    room.front.screen, room.desk.verdict = True, Verdict.DENY
    with pytest.raises(Denial):
        await room.outside.ask("client.add", {"name": "a", "servers": ["files"], "program": "/opt/claude"})
    assert ("Program", "/opt/claude") in room.desk.tickets[0].question.facts  # type: ignore[union-attr]
    assert room.clients.all() == ()
