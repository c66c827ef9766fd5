from PySide6.QtWidgets import QLineEdit, QPlainTextEdit

from tests.ui.core import EDITED, RULES
from tests.ui.running import Running
from ztmcp_desktop.ui.plain_view import PlainView
from ztmcp_desktop.ui.rule_form import EXAMPLE, RuleForm

WRONG = {"file": "mine.cedar", "line": 3, "message": "there is no action fly"}


def shown(running: Running) -> str:
    return "\n".join(view.accessibleDescription() for view in running.main.rules.findChildren(PlainView))


def on_rules(running: Running) -> None:
    running.main.show_page("Rules")
    running.settle()


def typed(running: Running, rule: str, text: str) -> RuleForm:
    on_rules(running)
    running.press("rules.add")
    form = running.main.rules.findChild(RuleForm)
    form.findChild(QLineEdit, "rule.id").setText(rule)
    form.findChild(QPlainTextEdit, "rule.text").setPlainText(text)
    running.press("rule.save")
    return form


def test_a_rule_with_a_problem_is_not_added_and_what_was_typed_stays(running: Running) -> None:
    running.plane.answers["rule.check"] = {"problems": [WRONG]}
    form = typed(running, "mine", "permit (\n  principal,\n  action == fly)")
    running.bot.waitUntil(lambda: form.problem() == "mine.cedar:3: there is no action fly", timeout=5000)
    assert running.plane.changes() == []
    assert form.text.textCursor().blockNumber() == 2
    assert form.id.text() == "mine"


def test_a_rule_is_checked_under_its_file_name_before_it_is_added(running: Running) -> None:
    typed(running, "mine", EXAMPLE)
    running.until("rule.add")
    asked = [each for each in running.plane.asked if each[0] in {"rule.check", "rule.add"}]
    assert asked == [
        ("rule.check", {"text": EXAMPLE, "file": "mine.cedar"}),
        ("rule.add", {"id": "mine", "text": EXAMPLE}),
    ]
    running.bot.waitUntil(lambda: "counts from now on" in running.main.rules.message.text(), timeout=5000)


def test_a_refusal_of_the_core_stands_in_the_form_and_nothing_is_lost(running: Running) -> None:
    del running.plane.answers["rule.add"]
    form = typed(running, "mine", EXAMPLE)
    running.bot.waitUntil(lambda: form.problem() == "There is no verb rule.add.", timeout=5000)
    assert form.text.toPlainText() == EXAMPLE


def test_a_rule_without_name_or_text_is_not_even_checked(running: Running) -> None:
    form = typed(running, "", EXAMPLE)
    assert form.problem().startswith("Name:")
    form.id.setText("mine")
    form.text.setPlainText("  \n")
    running.press("rule.save")
    assert form.problem().startswith("Rule:")
    assert "rule.check" not in [verb for verb, _ in running.plane.asked]


def test_the_shipped_rules_are_marked_and_cannot_be_removed(running: Running) -> None:
    on_rules(running)
    assert "your rule" in running.main.rules.things.item(0).text()
    running.bot.waitUntil(lambda: running.button("rule.remove") is not None, timeout=5000)
    running.main.rules.things.setCurrentRow(1)
    assert running.main.rules.things.item(1).text() == "default\nshipped"
    running.bot.waitUntil(lambda: running.button("rule.remove") is None, timeout=5000)


def test_a_rule_is_removed_with_two_presses(running: Running) -> None:
    on_rules(running)
    running.press("rule.remove")
    remove = running.button("rule.remove")
    assert remove is not None
    assert running.plane.changes() == []
    running.bot.waitUntil(lambda: remove._calm.calm, timeout=3000)
    remove.click()
    running.until("rule.remove")
    assert running.plane.changes() == [("rule.remove", {"id": "tests"})]


def test_the_text_of_a_rule_stands_there_in_full_with_its_problems_and_hides_nothing(running: Running) -> None:
    text = "permit (principal, action, resource); // \u202eevil"
    running.plane.answers["rule.list"] = {
        "rules": [RULES[0], {"id": "mine", "text": text, "shipped": False, "problems": [WRONG]}],
        "changed_outside": [],
    }
    on_rules(running)
    running.bot.waitUntil(lambda: "⟦U+202E⟧evil" in shown(running), timeout=5000)
    assert "mine.cedar:3: there is no action fly" in shown(running)
    assert "1 problem" in running.main.rules.things.item(0).text()


def test_without_a_rule_of_the_person_the_page_gives_an_example_to_begin_with(running: Running) -> None:
    running.plane.answers["rule.list"] = {"rules": RULES[:1], "changed_outside": []}
    on_rules(running)
    running.press("rule.example")
    form = running.main.rules.findChild(RuleForm)
    assert (form.id.text(), form.text.toPlainText()) == ("tests", EXAMPLE)


def test_edited_files_are_used_exactly_as_they_were_shown(running: Running) -> None:
    running.plane.answers["rule.list"] = {"rules": RULES, "changed_outside": ["tests.cedar"]}
    running.plane.answers["edited"] = {"changed": EDITED}
    on_rules(running)
    assert "tests.cedar" in running.main.rules.outside.text()
    running.press("outside.look")
    running.bot.waitUntil(lambda: running.button("outside.use") is not None, timeout=5000)
    assert "7420 → 7421" in shown(running)
    assert running.plane.changes() == []
    running.press("outside.use")
    running.until("reload")
    assert running.plane.changes() == [("reload", {"seen": EDITED})]


def test_an_edit_is_not_used_before_all_of_it_was_shown(running: Running) -> None:
    running.plane.answers["rule.list"] = {"rules": RULES, "changed_outside": ["tests.cedar"]}
    running.plane.answers["edited"] = {"changed": [["rule file tests.cedar", "// a line\n" * 60 + "the end"]]}
    on_rules(running)
    running.press("outside.look")
    running.bot.waitUntil(lambda: running.button("outside.use") is not None, timeout=5000)
    use = running.button("outside.use")
    assert use is not None
    running.bot.waitUntil(lambda: not use._timer.isActive(), timeout=3000)
    assert not use.isEnabled()
    view, outer = running.main.rules.findChild(PlainView), running.main.rules.area.verticalScrollBar()

    def shown_all() -> bool:
        view.show_next()
        outer.setValue(outer.maximum() if outer.value() == 0 else 0)
        return bool(use.isEnabled())

    running.bot.waitUntil(shown_all, timeout=5000)


def test_of_many_edited_files_a_few_are_named(running: Running) -> None:
    names = [f"{'a' * 60}{number}.cedar" for number in range(5)]
    running.plane.answers["rule.list"] = {"rules": RULES, "changed_outside": names}
    on_rules(running)
    said = running.main.rules.outside.text()
    assert "and 2 more" in said
    assert "a" * 41 not in said


def test_files_that_changed_again_are_shown_again_and_not_used(running: Running) -> None:
    running.plane.answers["rule.list"] = {"rules": RULES, "changed_outside": ["tests.cedar"]}
    running.plane.answers["edited"] = {"changed": EDITED}
    del running.plane.answers["reload"]
    on_rules(running)
    running.press("outside.look")
    running.settle()
    before = [v for v, _ in running.plane.asked].count("edited")
    running.press("outside.use")
    running.bot.waitUntil(lambda: "no verb reload" in running.main.rules.message.text(), timeout=5000)
    running.bot.waitUntil(lambda: [v for v, _ in running.plane.asked].count("edited") > before, timeout=5000)
    running.bot.waitUntil(lambda: running.button("outside.use") is not None, timeout=5000)
