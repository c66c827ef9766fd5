from dataclasses import replace

import pytest

from tests.ui.core import CURSOR, NODE, make_item
from tests.ui.samples import CALLER, make_question
from ztmcp_desktop.domain.caller import Unknown
from ztmcp_desktop.domain.ledger import EntryKind
from ztmcp_desktop.ui.clients_page import program_facts
from ztmcp_desktop.ui.consent_words import caller, kinds_sentence, notes
from ztmcp_desktop.ui.details_words import _step
from ztmcp_desktop.ui.timeline_words import sentence_of
from ztmcp_desktop.ui.units import limit_facts, moment_text, size_text


def test_kinds_are_counted_in_words() -> None:
    assert kinds_sentence((("GITHUB_TOKEN", 100), ("EMAIL", 1))) == "100 GitHub tokens, 1 e-mail address"
    assert kinds_sentence((("STRIPE_KEY", 1), ("JWT", 2))) == "1 Stripe key, 2 signed web tokens (JWT)"


def test_a_caller_that_is_cut_can_be_read_in_full_below() -> None:
    question = replace(make_question(), caller=replace(CALLER, arguments=("node", "x" * 150 + "end")))
    assert "in full below" in caller(question)
    assert dict(notes(question))["Asked by"].endswith("xend")
    assert "Asked by" not in dict(notes(make_question()))


@pytest.mark.attack("P14")
def test_what_a_client_calls_itself_stands_beside_what_the_system_reports_and_is_marked_as_its_own_words() -> None:
    said = caller(make_question())
    assert said.index("/usr/bin/node /usr/lib/claude/cli.js") < said.index("so the system says")
    assert said.endswith("calls itself “claude-code 2.1”, which anybody can")
    told = dict(notes(make_question()))
    assert told["Program"] == "file 5f2c5f2c5f2c… · runs /usr/lib/claude/cli.js 9b1d9b1d9b1d… · user u"
    assert told["Started by"] == "/usr/bin/bash ← /usr/bin/gnome-terminal-server"


@pytest.mark.attack("P14")
def test_a_caller_that_cannot_be_found_out_is_said_to_be_so_with_the_reason() -> None:
    question = replace(make_question(), caller=Unknown(why="the connection was closed"), claimed="")
    assert caller(question) == "The system does not say which program asked: the connection was closed."
    assert {"Program", "Started by", "Asked by"}.isdisjoint(dict(notes(question)))


@pytest.mark.parametrize(
    ("kind", "method", "subject", "said"),
    [
        (EntryKind.GATEWAY, "start", "", "The gateway started"),
        (EntryKind.PIN, "approve-offer", "files", "What files offers was approved"),
        (EntryKind.LOCK, "", "unlock", "Everything was unlocked"),
        (EntryKind.SECRET, "set", "a\u202eb", "The secret a⟦U+202E⟧b was set"),
        (
            EntryKind.NOTICE,
            "notifications/tools/list_changed",
            "notifications/tools/list_changed",
            "files → claude-code  notifications/tools/list_changed",
        ),
        (EntryKind.NOTICE, "notifications/vendor", "notifications/vendor", "claude-code → files.notifications/vendor"),
        (EntryKind.RULE, "unheard-of", "x", "rule: unheard-of · files · claude-code · x"),
    ],
)
def test_an_event_is_a_sentence(kind: EntryKind, method: str, subject: str, said: str) -> None:
    item = make_item(1, kind=kind, method=method, subject=subject, outcome="", server="files", client="claude-code")
    assert sentence_of(item) == said


def test_a_step_is_said_in_sentences() -> None:
    judged = _step({"name": "Judged", "because": ["It reads.", "No rule permits it"]})
    assert judged.text == "because: It reads. No rule permits it."
    assert _step({"name": "Injected", "names": []}).title == "No secret was needed"
    assert _step({"name": "Injected", "names": ["TOKEN"]}).title == "Secrets put in"


def test_limits_sizes_and_times_are_said_in_words() -> None:
    assert limit_facts({"memory_bytes": 2147483648, "call_s": 60.0, "other": "x"}) == [
        ("memory", "2 GiB"),
        ("time for a call", "60 s"),
        ("other", "x"),
    ]
    assert size_text(2147483649) == "2 GiB (2,147,483,649 bytes)"
    assert len(moment_text("2026-11-22T12:00:00.123456+00:00")) == len("2026-11-22 12:00:00")
    assert moment_text("2026-11-22T12:00:00 or later") == "2026-11-22T12:00:00 or later"


@pytest.mark.attack("P14")
def test_the_programs_of_a_client_are_listed_and_one_that_nobody_allowed_is_said_to_be_so() -> None:
    said = program_facts(
        {
            "first_seen": {**CURSOR, "since": "2026-11-22T12:00:00+00:00", "accepted": True},
            "others_seen": [{**NODE, "since": "2026-11-23T09:30:00+00:00", "accepted": False}],
            "last_seen": NODE,
        }
    )
    assert [label for label, _ in said] == ["first", "NOT ALLOWED", "last"]
    assert said[0][1].startswith("/opt/cursor/cursor (file 1e1e1e1e1e1e…), since 2026-11-22")
    assert said[2][1] == "/usr/bin/node /usr/lib/claude/cli.js (file 5f5f5f5f5f5f…)"
    assert program_facts({"first_seen": None, "others_seen": [], "last_seen": None}) == []
