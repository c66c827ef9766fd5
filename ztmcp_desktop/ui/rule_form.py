"""The form for a new rule: its name, and its text in Cedar."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QFormLayout, QLineEdit, QPlainTextEdit, QWidget

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.parts import button, card, column, label, primary, row
from ztmcp_desktop.ui.theme import fixed_font

EXAMPLE_ID = "tests"
EXAMPLE = """permit (
  principal == Client::"tests",
  action == Action::"call_without_asking",
  resource in Server::"everything"
);"""
_NOTE = "The rule is checked first; if something is wrong, nothing is changed. It counts as soon as it is added."
_TEXT_LINES = 12


class RuleForm(QWidget):
    """Emits `wanted(arguments of rule.add)` or `cancelled`; keeps what was typed until it is left."""

    wanted = Signal(dict)
    cancelled = Signal()

    def __init__(self, rule: str = "", text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.id = QLineEdit(rule)
        self.id.setObjectName("rule.id")
        self.id.setAccessibleName("Name")
        self.id.setPlaceholderText(EXAMPLE_ID)
        self.text = QPlainTextEdit()
        self.text.setObjectName("rule.text")
        self.text.setAccessibleName("Rule")
        self.text.setFont(fixed_font())
        self.text.setTabChangesFocus(True)
        self.text.setPlainText(text)
        self.text.setPlaceholderText(EXAMPLE)
        self.text.setFixedHeight(self.text.fontMetrics().lineSpacing() * _TEXT_LINES + 24)
        self._problem = label()
        self._problem.setProperty("bad", True)  # noqa: FBT003 - a Qt property
        self._problem.setAccessibleName("problem")
        self._problem.hide()
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(10)
        form.addRow("Name", self.id)
        form.addRow("Rule", self.text)
        add = primary(button("Add the rule", self._add, name="rule.save"))
        buttons = row(None, button("Cancel", self.cancelled.emit, name="rule.cancel"), add)
        inner = column(form, self._problem, buttons, spacing=12, margin=14)
        title = label("New rule", bold=True, factor=1.2)
        self.setLayout(column(title, label(_NOTE, muted=True), card(inner), spacing=8))

    def say(self, problem: str) -> None:
        """Show what is wrong; an empty text takes it away."""
        self._problem.setText(visible(problem))
        self._problem.setVisible(bool(problem))

    def show_problems(self, problems: list[JsonObject]) -> None:
        """Show each with file and line, and put the cursor into the line of the first."""
        lines = [f"{each.get('file')}:{each.get('line')}: {each.get('message')}" for each in problems]
        self.say("\n".join(lines))
        at = problems[0].get("line") if problems else None
        if not isinstance(at, int):
            return
        cursor = QTextCursor(self.text.document().findBlockByNumber(at - 1))
        if not cursor.isNull():
            self.text.setTextCursor(cursor)
            self.text.setFocus()

    def problem(self) -> str:
        """What it says."""
        return self._problem.text()

    def _add(self) -> None:
        rule, text = self.id.text().strip(), self.text.toPlainText()
        if not rule:
            self.say("Name: give the rule a name; its file gets the same.")
        elif not text.strip():
            self.say("Rule: write what is permitted or forbidden.")
        else:
            self.say("")
            self.wanted.emit({"id": rule, "text": text})
