import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import START, FakeStateStore
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.domain.policy import PolicyRequest
from ztmcp_desktop.domain.risk import Action, Risk
from ztmcp_desktop.policy.rules import LOOK_EVERY_S, MAX_REMEMBERED, Rules

RESOURCES = Path(__file__).parents[2] / "resources" / "policy"
SHIPPED = (RESOURCES / "default.cedar").read_text()
SCHEMA = (RESOURCES / "schema.cedarschema").read_text()
UNASKED = (
    'permit (principal == Client::"tests", action == Action::"call_without_asking", resource in Server::"everything");'
)
ASK = PolicyRequest(
    client=ClientName("tests"),
    action=Action.CALL,
    server=ServerName("everything"),
    kind=ItemKind.TOOL,
    subject="echo",
    risk=Risk.READ,
    paths=(),
    hosts=(),
    tables=(),
    sensitive=(),
    signs=(),
    session=(),
    now=START,
)


@pytest.fixture
def state() -> FakeStateStore:
    return FakeStateStore()


@pytest.fixture
def rules(tmp_path: Path, state: FakeStateStore) -> Rules:
    return Rules(tmp_path / "rules", SHIPPED, state, SCHEMA)


def refused(rules: Rules, request: PolicyRequest = ASK) -> Denial:
    with pytest.raises(Denial) as raised:
        rules.decide(request)
    return raised.value


def test_the_shipped_rules_permit_calls_and_let_nothing_pass_unasked(rules: Rules) -> None:
    for action in (Action.CALL, Action.READ, Action.OTHER):
        kind = ItemKind.TOOL if action is Action.CALL else None
        decision = rules.decide(replace(ASK, action=action, kind=kind))
        assert (decision.permitted, decision.unasked, decision.rules) == (True, False, ("default",))


def test_lists_are_permitted_and_never_asked(rules: Rules) -> None:
    decision = rules.decide(replace(ASK, action=Action.LIST, kind=None))
    assert (decision.permitted, decision.unasked) == (True, True)


@pytest.mark.attack("T10")
def test_the_clients_model_is_not_for_a_server_to_ask_by_default(rules: Rules) -> None:
    decision = rules.decide(replace(ASK, action=Action.SAMPLE, kind=None))
    assert (decision.permitted, decision.unasked, decision.forbidden) == (False, False, False)


@pytest.mark.attack("T8")
def test_a_servers_question_to_the_person_is_put_to_the_person_unless_a_rule_lets_it_pass_or_forbids_it(
    rules: Rules,
) -> None:
    asks = replace(ASK, action=Action.ASK_PERSON, kind=None)
    assert (rules.decide(asks).permitted, rules.decide(asks).unasked) == (True, False)
    rules.add("questions", 'permit (principal, action == Action::"ask_person", resource);')
    assert (rules.decide(asks).permitted, rules.decide(asks).unasked) == (True, True)
    rules.add("no-questions", 'forbid (principal, action == Action::"ask_person", resource);')
    decision = rules.decide(asks)
    assert (decision.permitted, decision.unasked, decision.forbidden) == (False, False, True)


def test_sampling_is_asked_even_when_permitted(rules: Rules) -> None:
    rules.add("sampling", 'permit (principal, action == Action::"sample", resource);')
    decision = rules.decide(replace(ASK, action=Action.SAMPLE, kind=None))
    assert (decision.permitted, decision.unasked) == (True, False)


def test_the_contracts_rule_lets_one_client_use_one_server_without_a_dialog(rules: Rules) -> None:
    rules.add("tests", UNASKED)
    assert not rules.decide(replace(ASK, client=ClientName("other"))).unasked
    assert not rules.decide(replace(ASK, server=ServerName("files"))).unasked
    decision = rules.decide(ASK)
    assert (decision.unasked, decision.rules) == (True, ("tests",))


def test_unasked_needs_the_permission_itself(rules: Rules) -> None:
    rules.add("tests", UNASKED)
    rules.add("never", 'forbid (principal, action == Action::"call", resource);')
    decision = rules.decide(ASK)
    assert (decision.permitted, decision.unasked, decision.forbidden, decision.rules) == (
        False,
        False,
        True,
        ("never",),
    )


def test_a_forbid_wins_and_is_named(rules: Rules) -> None:
    rules.add("allow", "permit (principal, action, resource);")
    rules.add("no-echo", 'forbid (principal, action, resource == Tool::"everything/echo");')
    assert rules.decide(ASK).rules == ("no-echo",)
    assert rules.decide(replace(ASK, subject="add")).unasked


def test_a_forbid_of_the_second_question_asks_and_is_named(rules: Rules) -> None:
    rules.add("tests", UNASKED)
    rules.add(
        "ask-writes",
        'forbid (principal, action == Action::"call_without_asking", resource) when { context.risk != "read" };',
    )
    assert rules.decide(ASK).unasked
    decision = rules.decide(replace(ASK, risk=Risk.UNKNOWN))
    assert (decision.permitted, decision.unasked, decision.asked_by) == (True, False, ("ask-writes",))


def test_an_error_in_a_forbid_is_a_no_and_not_a_skipped_rule(rules: Rules) -> None:
    rules.add("bad", "forbid (principal, action, resource) when { 9223372036854775807 + 1 == 0 };")
    explanation = rules.explain(ASK)
    assert not explanation.decision.permitted
    assert explanation.decision.forbidden
    assert explanation.decision.rules == ("bad",)
    assert "overflow" in explanation.permitted.errors[0]


@pytest.mark.parametrize(
    "subject",
    ["a\nb", 'x"]; permit(principal,action,resource);//', "\N{CYRILLIC SMALL LETTER DZE}end", "", "a" * 10_000],
)
def test_a_hostile_name_is_only_a_name(rules: Rules, subject: str) -> None:
    rules.add(
        "tests", 'permit (principal, action == Action::"call_without_asking", resource == Tool::"everything/send");'
    )
    decision = rules.decide(replace(ASK, subject=subject))
    assert (decision.permitted, decision.unasked) == (True, False)


def test_what_cedar_cannot_take_is_a_no(rules: Rules) -> None:
    assert not rules.decide(replace(ASK, subject="\ud800")).permitted
    assert not rules.decide(replace(ASK, paths=("\ud800",))).permitted


def test_time_is_part_of_the_question(rules: Rules) -> None:
    rules.add(
        "evenings", 'forbid (principal, action, resource) when { context.now >= datetime("2026-11-22T18:00:00Z") };'
    )
    assert rules.decide(ASK).permitted
    assert not rules.decide(replace(ASK, now=START.replace(hour=19))).permitted
    assert rules.decide(ASK).permitted


def test_paths_hosts_and_tables_can_be_named_in_a_rule(rules: Rules) -> None:
    rules.add(
        "no-wages",
        "forbid (principal, action, resource) when "
        '{ context.tables.contains("wages") || context.hosts.contains("evil.example") };',
    )
    assert rules.decide(replace(ASK, tables=("orders",), paths=("/a",))).permitted
    assert not rules.decide(replace(ASK, tables=("orders", "wages"))).permitted
    assert not rules.decide(replace(ASK, hosts=("evil.example",))).permitted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("permit (", 1),
        ("", 1),
        ("// nothing but words", 1),
        ("permit (principal, action, resource);\n\n// a remark; with a semicolon\npermit (principal,, resource);", 4),
        ('permit (principal, action, resource) when {\n context.colour == "red" };', 2),
        ('permit (\n principal,\n action == Action::"fly",\n resource\n);', 3),
        ('// words\n\npermit (\n principal,\n action,\n resource in Srver::"x");', 6),
        ("permit (\n principal,\n action === 1,\n resource);", 3),
        ("permit (\n principal,\n action,\n resource)\n", 4),
        ("permit (principal, action, resource)\npermit (principal, action, resource);", 2),
        ('permit (principal, action, resource)\nwhen {\n context.risk == "read" &&\n context.risk == 3\n};', 4),
        ('permit (principal, action, resource)\nwhen { ip("1.2.3.4") ==\n ip("x") };', 3),
        (
            "permit (principal, action, resource);\nforbid (principal,\n action, resource)\nwhen { context.risk > 1 };",
            4,
        ),
        ('permit (principal == User::"x", action, resource);', 1),
        ('permit (principal, action == Action::"fly", resource);', 1),
        ("permit (principal, action, resource) when { context.risk == 3 };", 1),
        ('permit (principal, action == Action::"call", resource == Server::"x");', 1),
        ("permit (principal == ?principal, action, resource);", 1),
        ("permit (principal, action, resource);" + " " * 70_000, 1),
    ],
)
def test_a_wrong_rule_changes_nothing_and_says_where(rules: Rules, tmp_path: Path, text: str, line: int) -> None:
    assert rules.check(text, "x.cedar")[0].line == line
    with pytest.raises(Denial, match=rf"^not-permitted: x\.cedar:{line}: "):
        rules.add("x", text)
    assert not (tmp_path / "rules" / "x.cedar").exists()
    assert rules.decide(ASK).permitted


def test_a_rules_mistake_is_told_in_the_words_of_the_rule_alone(rules: Rules) -> None:
    found = rules.check('permit (principal == User::"x", action, resource);', "x.cedar")
    assert found[0].message == "unrecognized entity type 'User'"


@pytest.mark.parametrize("name", ["default", "../x", "", ".x", "a/b", "x\n", "a" * 65])
def test_a_name_that_is_taken_or_none_is_refused(rules: Rules, name: str) -> None:
    with pytest.raises(Denial) as raised:
        rules.add(name, UNASKED)
    assert raised.value.code is Code.NOT_PERMITTED
    assert not rules.decide(ASK).unasked


def test_a_rule_does_not_replace_another(rules: Rules) -> None:
    rules.add("mine", UNASKED)
    with pytest.raises(Denial, match="there is a rule mine already"):
        rules.add("mine", "permit (principal, action, resource);")
    assert rules.all()[1].text == UNASKED


def test_a_removed_rule_no_longer_counts(rules: Rules) -> None:
    rules.add("mine", UNASKED)
    assert rules.remove("mine")
    assert not rules.remove("mine")
    assert not rules.remove("../mine")
    assert not rules.decide(ASK).unasked


def test_rules_survive_a_restart(rules: Rules, tmp_path: Path, state: FakeStateStore) -> None:
    rules.add("mine", UNASKED)
    assert (tmp_path / "rules" / "mine.cedar").stat().st_mode & 0o777 == 0o600
    assert Rules(tmp_path / "rules", SHIPPED, state, SCHEMA).decide(ASK).unasked


def edit(folder: Path, how: str) -> None:
    match how:
        case "edited":
            (folder / "mine.cedar").write_text("permit (principal, action, resource);")
        case "added":
            (folder / "theirs.cedar").write_text("permit (principal, action, resource);")
        case "removed":
            (folder / "mine.cedar").unlink()
        case "broken":
            (folder / "mine.cedar").write_bytes(b"\xff\xfepermit")
        case "link":
            (folder / "mine.cedar").unlink()
            (folder / "mine.cedar").symlink_to("/dev/zero")
        case "fifo":
            (folder / "mine.cedar").unlink()
            __import__("os").mkfifo(folder / "mine.cedar")


@pytest.mark.attack("C12")
@pytest.mark.parametrize("how", ["edited", "added", "removed", "broken", "link", "fifo"])
@pytest.mark.parametrize("restarted", ["running", "restarted"])
def test_a_file_changed_behind_our_back_stops_every_decision(
    rules: Rules, tmp_path: Path, state: FakeStateStore, how: str, restarted: str
) -> None:
    rules.add("mine", UNASKED)
    assert rules.decide(ASK).unasked
    edit(tmp_path / "rules", how)
    time.sleep(LOOK_EVERY_S)
    if restarted == "restarted":
        rules = Rules(tmp_path / "rules", SHIPPED, state, SCHEMA)
    denial = refused(rules)
    assert denial.code is Code.REFUSED_BY_RULE
    assert "reload the rules" in denial.reason
    assert rules.drift() == ("theirs.cedar" if how == "added" else "mine.cedar",)
    refused(rules, replace(ASK, action=Action.LIST, kind=None))


def test_adopting_makes_the_changed_files_the_rules(rules: Rules, tmp_path: Path, state: FakeStateStore) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "hand.cedar").write_text(UNASKED)
    refused(rules)
    assert rules.adopt() == ("hand.cedar",)
    assert rules.drift() == ()
    assert rules.decide(ASK).unasked
    assert Rules(tmp_path / "rules", SHIPPED, state, SCHEMA).decide(ASK).unasked


@pytest.mark.attack("C12")
@pytest.mark.parametrize(
    ("name", "text"),
    [("hand.cedar", "permit ("), ("default.cedar", UNASKED), ("a b.cedar", UNASKED)],
)
def test_a_broken_file_is_not_adopted(
    rules: Rules, tmp_path: Path, state: FakeStateStore, name: str, text: str
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / name).write_text(text)
    with pytest.raises(Denial) as raised:
        rules.adopt()
    assert raised.value.code is Code.NOT_PERMITTED
    assert state.records == {}
    refused(rules)


def test_putting_the_file_back_ends_the_refusal(rules: Rules, tmp_path: Path) -> None:
    rules.add("mine", UNASKED)
    (tmp_path / "rules" / "mine.cedar").unlink()
    time.sleep(LOOK_EVERY_S)
    refused(rules)
    (tmp_path / "rules" / "mine.cedar").write_text(UNASKED)
    time.sleep(LOOK_EVERY_S)
    assert rules.decide(ASK).unasked


@pytest.mark.attack("C12")
def test_a_forged_record_stops_every_decision(tmp_path: Path) -> None:
    class Forged(FakeStateStore):
        def load(self, name: str) -> JsonObject | None:
            raise Denial(Code.GATEWAY_FAULT, "the record rules was not written by us")

    denial = refused(Rules(tmp_path, SHIPPED, Forged(), SCHEMA))
    assert denial.code is Code.REFUSED_BY_RULE
    assert "was not written by us" in denial.reason


@pytest.mark.parametrize("record", [{"files": []}, {"files": {"x": 1}}])
def test_a_damaged_record_stops_every_decision(tmp_path: Path, state: FakeStateStore, record: dict[str, Any]) -> None:
    state.save("rules", record)
    assert "damaged" in refused(Rules(tmp_path, SHIPPED, state, SCHEMA)).reason


def test_a_rule_that_cannot_be_sealed_is_not_left_behind(tmp_path: Path) -> None:
    class Full(FakeStateStore):
        def save(self, name: str, record: JsonObject) -> None:
            raise Denial(Code.GATEWAY_FAULT, "the disk is full")

    rules = Rules(tmp_path, SHIPPED, Full(), SCHEMA)
    with pytest.raises(Denial, match="disk is full"):
        rules.add("mine", UNASKED)
    assert list(tmp_path.iterdir()) == []
    assert rules.decide(ASK).permitted


def test_broken_shipped_rules_do_not_start(tmp_path: Path, state: FakeStateStore) -> None:
    with pytest.raises(ValueError, match="shipped rules are broken"):
        Rules(tmp_path, "permit (", state, SCHEMA)


def test_the_explanation_names_both_questions(rules: Rules) -> None:
    rules.add("tests", UNASKED)
    explanation = rules.explain(ASK)
    assert (explanation.permitted.action, explanation.permitted.rules) == ("call", ("default",))
    assert explanation.unasked is not None
    assert (explanation.unasked.action, explanation.unasked.rules) == ("call_without_asking", ("tests",))


def test_a_reload_is_told(rules: Rules, tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []
    rules.on_reload(lambda: told.append(rules.drift()))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "x.cedar").write_text(UNASKED)
    refused(rules)
    assert told == [("x.cedar",)]


def test_what_is_remembered_is_bounded(rules: Rules) -> None:
    for number in range(MAX_REMEMBERED + 10):
        rules.decide(replace(ASK, subject=f"t{number}"))
    assert len(rules._remembered) == MAX_REMEMBERED


def test_many_rules_of_other_servers_cost_a_decision_little(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    for number in range(300):
        text = f'permit (principal, action == Action::"call_without_asking", resource in Server::"s{number}");'
        (tmp_path / "rules" / f"r{number}.cedar").write_text(text)
    rules.adopt()
    assert len(rules._engine._set_for("tests", "everything")) == 1  # type: ignore[union-attr]
    started = time.perf_counter()
    for number in range(200):
        rules.decide(replace(ASK, subject=f"t{number}"))
    assert (time.perf_counter() - started) / 200 < 0.02
