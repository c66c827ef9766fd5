"""What of a call is written to the ledger."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import identified, make_call, make_digester, with_reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.domain.ledger import EntryKind, Outcome
from ztmcp_desktop.domain.names import Digest, SecretName
from ztmcp_desktop.domain.proof import Consented, ConsentedBy, Forwarded, Injected
from ztmcp_desktop.pipeline.record import MAX_RECORDED_BYTES, MAX_SUBJECT_CHARS, Recorder
from ztmcp_desktop.scan.redact import redact

MAIL = "ada@example.org"


class Redactor:
    """Redacts, and remembers how much it was given."""

    def __init__(self) -> None:
        self.longest = 0

    def __call__(self, value: Json) -> Json:
        self.longest = max(self.longest, len(repr(value)))
        return redact(value)


def recorder() -> Recorder:
    return Recorder(redact, make_digester())


@pytest.mark.attack("P11")
@pytest.mark.parametrize("where", ["arguments", "subject", "method", "reason", "result", "key"])
def test_personal_data_is_in_no_column_and_no_body(where: str) -> None:
    call, denial = make_call(), None
    match where:
        case "arguments":
            call = make_call(arguments={"to": MAIL})
        case "key":
            call = make_call(arguments={MAIL: 1})
        case "subject":
            call = make_call(method="resources/read", params={"uri": f"crm://people/{MAIL}"})
        case "method":
            call = make_call(method=f"vendor/{MAIL}", params={})
        case "reason":
            denial = Denial(Code.SERVER_UNAVAILABLE, f"nobody at {MAIL}")
        case _:
            call = with_reply(call, {"content": [{"type": "text", "text": MAIL}]})
    rows = (recorder().opened(call), recorder().closed(call, denial, 1), recorder().notice(call))
    assert MAIL not in repr(rows)


def test_the_pinned_item_is_not_written_only_its_digest() -> None:
    call = identified(make_call(), {"name": "read_file", "description": "a long text of the server's"})
    row = recorder().closed(call, Denial(Code.NOT_PERMITTED, "no"), 1)
    assert "a long text" not in repr(row)
    assert row.body["proofs"][1]["pin"] == redact(call.proofs[1].pin.digest)  # type: ignore[attr-defined]


def test_names_of_secrets_are_written_and_what_is_sealed_is_not() -> None:
    call = make_call().proved(Injected(names=(SecretName("github"),)))
    assert recorder().closed(call, None, 1).body["proofs"] == [{"proof": "Injected", "names": ["github"]}]


@pytest.mark.attack("N8", "P10")
@pytest.mark.parametrize("what", ["arguments", "subject", "method", "result", "listed"])
def test_what_is_far_too_large_is_never_looked_through(what: str) -> None:
    huge = "x" * 1_000_000
    seen = Redactor()
    made = Recorder(seen, make_digester())
    match what:
        case "arguments":
            call = make_call(arguments={"text": huge})
        case "subject":
            call = make_call(huge)
        case "method":
            call = make_call(method=huge, params={})
        case "result":
            call = with_reply(make_call(), {"content": [huge]}).proved(Forwarded(duration_ms=1, size_bytes=1_000_020))
        case _:
            call = with_reply(make_call(method="tools/list", params={}), {"tools": [huge]})
    rows = (made.opened(call), made.closed(call, None, 1), made.notice(call))
    assert seen.longest < 2 * MAX_RECORDED_BYTES
    assert huge[:MAX_SUBJECT_CHARS] not in repr(rows)


def test_what_is_too_large_has_its_size_and_a_keyed_digest_instead() -> None:
    arguments = {"text": "x" * MAX_RECORDED_BYTES}
    stated = recorder().opened(make_call(arguments=arguments)).body["arguments"]
    assert stated == {
        "size_bytes": MAX_RECORDED_BYTES + len('{"text":""}'),
        "digest": make_digester().of("arguments", arguments),
    }


@pytest.mark.attack("P10")
def test_a_bare_ending_holds_nothing_of_the_call_but_its_end() -> None:
    call = with_reply(make_call(arguments={"to": "x"}), {"content": ["secret words"]})
    row = recorder().bare(call, Denial(Code.GATEWAY_FAULT, "it cannot be put on record"), 5)
    assert (row.kind, row.outcome, row.code, row.call) == (
        EntryKind.CLOSED,
        Outcome.FAILED,
        Code.GATEWAY_FAULT,
        call.id,
    )
    assert row.body == {"reason": "it cannot be put on record", "duration_ms": 5}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (Code.REFUSED_BY_PERSON, Outcome.DENIED),
        (Code.OUTSIDE_LIMITS, Outcome.DENIED),
        (Code.LOCKED_DOWN, Outcome.DENIED),
        (Code.TOO_SLOW, Outcome.FAILED),
        (Code.WITHDRAWN, Outcome.FAILED),
        (Code.GATEWAY_FAULT, Outcome.FAILED),
    ],
)
def test_a_refusal_is_told_from_a_failure(code: Code, outcome: Outcome) -> None:
    row = recorder().closed(make_call(), Denial(code, "no"), 1)
    assert (row.outcome, row.code) == (outcome, code)


def test_a_call_that_was_answered_is_on_record_with_its_proofs_and_its_answer() -> None:
    proof = Consented(digest=Digest("ab"), by=ConsentedBy.PERSON, asked_ms=7)
    call = with_reply(make_call().proved(proof), {"content": []})
    row = recorder().closed(call, None, 12)
    stated: dict[str, Any] = {"proof": "Consented", "digest": "ab", "by": "person", "name": "", "asked_ms": 7}
    assert row.body == {"proofs": [stated], "duration_ms": 12, "result": {"content": []}}
    assert (row.outcome, row.code) == (Outcome.ALLOWED, None)


def test_an_allowed_call_without_an_answer_states_none() -> None:
    assert recorder().closed(replace(make_call(), reply=None), None, 1).body["result"] == {}
