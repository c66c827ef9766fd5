"""Rules about content, on the real rules."""

from pathlib import Path

import pytest

from tests.fakes import FakeClock, FakeStateStore, identified, make_call
from ztmcp_desktop.control.resources import resource_text
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.names import RuleId
from ztmcp_desktop.domain.proof import Classified, Confined
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.pipeline.content_rules import ContentRules
from ztmcp_desktop.pipeline.mask_arguments import Treatment
from ztmcp_desktop.policy.rules import Rules


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    folder = tmp_path / "rules"
    folder.mkdir(mode=0o700)
    return Rules(
        folder, resource_text("policy/default.cedar"), FakeStateStore(), resource_text("policy/schema.cedarschema")
    )


@pytest.fixture
def content(rules: Rules) -> ContentRules:
    rules.add(RuleId("no-cards"), 'forbid (principal, action, resource) when { context.sensitive.contains("CARD") };')
    rules.add(RuleId("no-orders"), 'forbid (principal, action, resource) when { context.signs.contains("ansi") };')
    return ContentRules(rules, FakeClock())


def call() -> Call:
    made = identified(make_call("write_file", {"path": "a"}))
    return made.proved(Classified(risk=Risk.WRITE, effects=(), signs=())).proved(Confined())


def test_a_forbid_on_sensitive_data_blocks_the_arguments_that_hold_it(content: ContentRules) -> None:
    assert content.treat(call(), ("CARD", "EMAIL")) is Treatment.BLOCK
    assert content.treat(call(), ("EMAIL",)) is Treatment.ASK


@pytest.mark.attack("P11")
def test_a_permit_without_asking_that_excludes_sensitive_data_asks_where_there_is_some(rules: Rules) -> None:
    what = 'principal, action == Action::"call_without_asking", resource'
    rules.add(RuleId("quiet"), f'permit ({what}) when {{ !context.sensitive.contains("EMAIL") }};')
    content = ContentRules(rules, FakeClock())
    assert content.treat(call(), ("EMAIL",)) is Treatment.ASK
    assert content.treat(call(), ("PHONE",)) is Treatment.PASS


@pytest.mark.attack("P11")
def test_a_forbid_of_passing_unasked_asks_where_there_is_sensitive_data(rules: Rules) -> None:
    what = 'principal, action == Action::"call_without_asking", resource'
    rules.add(RuleId("quiet"), f"permit ({what});")
    rules.add(RuleId("ask-mail"), f'forbid ({what}) when {{ context.sensitive.contains("EMAIL") }};')
    content = ContentRules(rules, FakeClock())
    assert content.treat(call(), ("EMAIL",)) is Treatment.ASK
    assert content.treat(call(), ("PHONE",)) is Treatment.PASS


def test_a_forbid_on_signs_blocks_the_answer_that_shows_them(content: ContentRules) -> None:
    assert content.blocks(call(), ("ansi",))
    assert not content.blocks(call(), ("bidi",))
