"""The rules: the shipped ones, the person's own, and files that were edited behind our back."""

from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.confirm_button import ConfirmButton
from ztmcp_desktop.ui.facts_box import facts_box, rows_of
from ztmcp_desktop.ui.outside_edits import OutsideBar, review
from ztmcp_desktop.ui.page import ThingsPage
from ztmcp_desktop.ui.parts import button, card, column, label, row
from ztmcp_desktop.ui.rule_form import EXAMPLE, EXAMPLE_ID, RuleForm
from ztmcp_desktop.ui.sentence import cut

_PANE_MARGIN = 40
_MOST_NAMED = 3
_MAX_NAME = 40
_SHIPPED = "shipped with ztmcp; a rule of yours that forbids wins over it"
_OWN = "your rule"
_DRIFT = (
    "Rule files were edited outside ztmcp: {names}. Every call is refused until you use the files as they are, "
    "or put them back."
)


def problems_text(problems: list[JsonObject]) -> str:
    """Each problem on a line of its own, with file and line."""
    return "\n".join(f"{each.get('file')}:{each.get('line')}: {each.get('message')}" for each in problems)


def _some(names: list[str]) -> str:
    """The first few, each cut, and how many more; the look at them shows all."""
    more = len(names) - _MOST_NAMED
    return ", ".join(cut(name, _MAX_NAME) for name in names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


class RulesPage(ThingsPage):
    """List, text, form, and the look at what was edited."""

    title = "Rules"
    add_text = "Add a rule"
    empty = (
        "Without a rule of yours every call that stays within a server's limits is asked about. Add a rule to let "
        "calls pass without a question, or to forbid them. This one lets the client “tests” use all tools of "
        "the server “everything” without a dialog:"
    )

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(bridge, parent)
        self._rules: dict[str, JsonObject] = {}
        self.outside = OutsideBar(self._look)
        self.whole.insertWidget(1, self.outside)

    def load(self) -> None:
        self.ask("rule.list", {}, self._fill)

    def _fill(self, result: JsonObject, choose: str | None = None) -> None:
        rules = sorted(result.get("rules", []), key=lambda rule: bool(rule.get("shipped")))
        self._rules = {str(rule["id"]): rule for rule in rules}
        names = [str(name) for name in result.get("changed_outside") or ()]
        self.outside.say(_DRIFT.format(names=_some(names)) if names else "")
        if self.chosen not in self._rules:
            self.things.setCurrentRow(-1)
        self.fill({name: self._below(rule) for name, rule in self._rules.items()}, choose)

    def _below(self, rule: JsonObject) -> str:
        count = len(rule.get("problems") or ())
        wrong = f" · {count} {'problem' if count == 1 else 'problems'}" if count else ""
        return ("shipped" if rule.get("shipped") else _OWN) + wrong

    @property
    def _width(self) -> int:
        return self.area.viewport().width() - _PANE_MARGIN

    def show_thing(self, name: str) -> None:
        rule = self._rules.get(name)
        if rule is None:
            return
        self.begin()
        if all(each.get("shipped") for each in self._rules.values()):
            self.put(self._first_step())
        shipped = bool(rule.get("shipped"))
        self.put(label(visible(name), bold=True, factor=1.2), label(_SHIPPED if shipped else _OWN, muted=True))
        if not shipped:
            remove = ConfirmButton("Remove", f"Really remove {visible(name)}", lambda: self._remove(name))
            remove.setObjectName("rule.remove")
            self.put(row(remove, None))
        if problems := list(rule.get("problems") or ()):
            self.put(facts_box("Problems", rows_of([("", problems_text(problems))]), self._width, "danger"))
        text = str(rule.get("text", "")).rstrip("\n")
        self.put(facts_box("Text", rows_of([("", text)]), self._width), None)

    def _first_step(self) -> QWidget:
        """What to do first, with an example to begin with."""
        begin = button("Begin with this example", lambda: self._form(EXAMPLE_ID, EXAMPLE), name="rule.example")
        title = label("No rule of yours yet", bold=True, factor=1.2)
        example = facts_box("Example", rows_of([("", EXAMPLE)]), self._width - _PANE_MARGIN, "sunken")
        return card(column(title, label(self.empty, muted=True), example, row(begin, None), spacing=10, margin=14))

    def show_empty(self) -> None:
        self.begin()
        self.put(self._first_step(), None)

    def _remove(self, name: str) -> None:
        self.things.setCurrentRow(-1)
        self.change("rule.remove", {"id": name}, f"The rule {name} no longer counts.")

    def show_form(self) -> None:
        self._form("", "")

    def _form(self, rule: str, text: str) -> None:
        self.things.setCurrentRow(-1)
        self.edit()
        form = RuleForm(rule, text)
        form.cancelled.connect(self.leave)
        form.wanted.connect(lambda arguments: self._check(form, arguments))
        self.put(form, None)
        form.id.setFocus()

    def _check(self, form: RuleForm, arguments: JsonObject) -> None:
        """`rule.add` only after `rule.check` found nothing; both leave the form as it is when they refuse."""

        def checked(result: JsonObject) -> None:
            if not isValid(form):
                # It was left meanwhile, so nothing is added.
                return
            if problems := list(result.get("problems") or ()):
                form.show_problems(problems)
            else:
                self.bridge.ask("rule.add", arguments, added, failed)

        def failed(why: str) -> None:
            if isValid(form):
                form.say(why)
            else:
                self.message.say(why, "danger")

        def added(result: JsonObject) -> None:
            name = str(result.get("id", arguments["id"]))
            self.editing = False
            self.message.say(f"The rule {name} counts from now on.", "good")
            self.ask("rule.list", {}, lambda listed: self._fill(listed, name))

        asked = {"text": arguments["text"], "file": f"{arguments['id']}.cedar"}
        self.bridge.ask("rule.check", asked, checked, failed)

    def _look(self) -> None:
        self.ask("edited", {}, self._review)

    def _review(self, result: JsonObject) -> None:
        self.things.setCurrentRow(-1)
        self.edit()
        self.put(review(result, self._width, self._use, self.leave), None)

    def _use(self, seen: JsonObject) -> None:
        def failed(why: str) -> None:
            self.message.say(why, "danger")
            self._look()

        def used(_result: JsonObject) -> None:
            self.message.say("The files are used as they were shown.", "good")
            self.leave()

        self.bridge.ask("reload", seen, used, failed)
