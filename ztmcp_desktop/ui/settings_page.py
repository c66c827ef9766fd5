"""The settings: what is written, what the gateway runs with, and where the file is."""

from math import isfinite

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QLabel, QLineEdit, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.outside_edits import OutsideBar, review
from ztmcp_desktop.ui.page import MessageBar
from ztmcp_desktop.ui.parts import button, card, clear, column, holding, label, primary, row

_ORIGINS = (
    "Web pages whose scripts may talk to the gateway, one in a line, like https://app.example. "
    "Leave it empty unless you use such a page: without it no page in a browser gets through."
)
_MEANINGS = {
    "patience_s": (
        "Patience, in seconds",
        "How long a question waits for your answer once you can see it. After that the answer is no.",
    ),
    "port": (
        "Port",
        "Where clients reach the gateway, on this machine only. Clients have the port in their addresses.",
    ),
    "allowed_origins": ("Allowed origins", _ORIGINS),
}
_WHEN = "What you save is written to the file at once, and counts from the next start of ztmcp."
_EDITED = "Settings, servers or rules were edited in their files. The edits do not count until you use them."
_ORIGIN_LINES = 3
_PANE_MARGIN = 60


def as_text(value: Json) -> str:
    """A value as it is typed: numbers without needless digits, lists one in a line."""
    if isinstance(value, list):
        return "\n".join(str(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_number(text: str) -> Json:
    """The number that was typed; what is none goes to the core as it is, which refuses it and says why."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number):
        return text
    return int(number) if number.is_integer() else number


class SettingsPage(QWidget):
    """The form. It is filled again only where nothing was typed that is not saved yet."""

    title = "Settings"

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._written: JsonObject = {}
        self.message = MessageBar()
        self.outside = OutsideBar(self._look)
        self.patience = QLineEdit()
        self.port = QLineEdit()
        self.origins = QPlainTextEdit()
        self.origins.setTabChangesFocus(True)
        self.origins.setFixedHeight(self.origins.fontMetrics().lineSpacing() * _ORIGIN_LINES + 24)
        self._fields: dict[str, QLineEdit | QPlainTextEdit] = {
            "patience_s": self.patience,
            "port": self.port,
            "allowed_origins": self.origins,
        }
        self._notes = {key: label(bold=True) for key in self._fields}
        self._file = label(muted=True)
        self._file.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._review = QVBoxLayout()
        self._form = card(self._form_layout())
        inner = holding(column(self._form, self._review, self._file, None, spacing=10))
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        head = label(self.title, bold=True, factor=1.5)
        whole = column(head, self.outside, self.message, self.area, spacing=10, margin=18)
        whole.setStretchFactor(self.area, 1)
        self.setLayout(whole)

    def _form_layout(self) -> QVBoxLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        form.setVerticalSpacing(14)
        for key, field in self._fields.items():
            name, meaning = _MEANINGS[key]
            field.setObjectName(f"settings.{key}")
            field.setAccessibleName(name)
            field.setAccessibleDescription(meaning)
            self._notes[key].hide()
            form.addRow(name, column(field, label(meaning, muted=True), self._notes[key], spacing=4))
        save = primary(button("Save", self._save, name="settings.save"))
        undo = button("Take back", self._undo, name="settings.undo")
        undo.setAccessibleName("take back what is not saved")
        when = label(_WHEN, muted=True)
        buttons = row(when, undo, save)
        buttons.setStretch(0, 1)
        return column(form, buttons, spacing=16, margin=16)

    def load(self) -> None:
        """Read the settings again."""
        self._bridge.ask("settings.show", {}, self._show, self._wrong)
        self._bridge.ask("edited", {}, self._show_edited, self._wrong)

    def _show(self, result: JsonObject) -> None:
        written = dict(result.get("settings") or {})
        unsaved = self._changes()
        self._written = written
        for key, value in written.items():
            if key in self._fields and key not in unsaved:
                self._put(key, as_text(value))
        waiting, in_use = set(result.get("after_restart") or ()), dict(result.get("in_use") or {})
        for key, note in self._notes.items():
            self._note(note, as_text(in_use.get(key)) if key in waiting else None)
        self._file.setText(f"These settings are in {visible(str(result.get('file', '')))}")

    def _note(self, note: QLabel, in_use: str | None) -> None:
        if in_use is not None:
            now = ", ".join(in_use.split("\n")) or "none"
            note.setText(visible(f"Saved. It counts after a restart; until then ztmcp runs with: {now}"))
        note.setVisible(in_use is not None)

    def _show_edited(self, result: JsonObject) -> None:
        self.outside.say(_EDITED if result.get("changed") else "")

    def _text(self, key: str) -> str:
        field = self._fields[key]
        return field.text() if isinstance(field, QLineEdit) else field.toPlainText()

    def _put(self, key: str, text: str) -> None:
        field = self._fields[key]
        if self._text(key) == text:
            return
        if isinstance(field, QLineEdit):
            field.setText(text)
        else:
            field.setPlainText(text)

    def _typed(self, key: str) -> Json:
        text = self._text(key)
        if key == "allowed_origins":
            return [line.strip() for line in text.splitlines() if line.strip()]
        return as_number(text.strip())

    def _changes(self) -> JsonObject:
        """What was typed that differs from what is saved."""
        return {
            key: typed
            for key in self._written
            if key in self._fields and (typed := self._typed(key)) != self._written[key]
        }

    def _save(self) -> None:
        changes = self._changes()
        if not changes:
            self.message.say("Nothing differs from what is saved.", "good")
            return

        def done(result: JsonObject) -> None:
            self._written = dict(result.get("settings") or {})
            self._show(result)
            self.message.say("Saved. It counts from the next start of ztmcp.", "good")

        self._bridge.ask("settings.set", changes, done, self._wrong)

    def _undo(self) -> None:
        for key, value in self._written.items():
            if key in self._fields:
                self._put(key, as_text(value))
        self.message.hide()

    def _wrong(self, why: str) -> None:
        self.message.say(why, "danger")

    def _look(self) -> None:
        self._bridge.ask("edited", {}, self._show_review, self._wrong)

    def _show_review(self, result: JsonObject) -> None:
        clear(self._review)
        self._form.hide()
        self._review.addWidget(review(result, self.area.viewport().width() - _PANE_MARGIN, self._use, self._leave))

    def _leave(self) -> None:
        clear(self._review)
        self._form.show()
        self.load()

    def _use(self, seen: JsonObject) -> None:
        def failed(why: str) -> None:
            self.message.say(why, "danger")
            self._look()

        def used(_result: JsonObject) -> None:
            self.message.say("The files are used as they were shown. Settings count from the next start.", "good")
            self._leave()

        self._bridge.ask("reload", seen, used, failed)
