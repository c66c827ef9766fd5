"""The form for a new server: a command on this machine, or an address."""

import shlex

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFormLayout, QLineEdit, QPlainTextEdit, QWidget

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import NAME_RULE, is_name, is_secret_name
from ztmcp_desktop.ui.parts import Chooser, button, card, column, label, primary, row

_LOCAL, _REMOTE = "A command on this machine", "An address (Streamable HTTP)"


class FormError(ValueError):
    """What the person typed does not fit; the text says what to do."""


def pairs(text: str, separator: str, what: str) -> dict[str, str]:
    """`A=1` lines as a mapping.

    Raises:
        FormError: a line has no separator or no name.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, mark, value = line.partition(separator)
        if not mark or not name.strip():
            raise FormError(f"{what}: write each line as NAME{separator}VALUE; “{line.strip()}” is none.")
        found[name.strip()] = value.strip()
    return found


def folders(text: str) -> list[list[str]]:
    """`PATH`, `PATH:ro` or `PATH:rw` lines; read-only unless it says rw.

    Raises:
        FormError: a path is not absolute.
    """
    found = []
    for line in (line.strip() for line in text.splitlines()):
        if not line:
            continue
        path, access = (line[:-3], line[-2:]) if line.endswith((":ro", ":rw")) else (line, "ro")
        if not path.startswith(("/", "~")):
            raise FormError(f"Folders: “{path}” must begin with /.")
        found.append([path, access])
    return found


class ServerForm(QWidget):
    """Emits `proposed(arguments of server.add)` or `cancelled`."""

    proposed = Signal(dict)
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = QLineEdit()
        self.name.setObjectName("server.name")
        self.kind = Chooser()
        self.kind.addItems([_LOCAL, _REMOTE])
        self.where = QLineEdit()
        self.where.setObjectName("server.where")
        self.plain = self._lines("server.plain")
        self.secret = self._lines("server.secret")
        self.folders = self._lines("server.folders")
        self.folders.setPlaceholderText("/home/me/project:rw\n/home/me/papers:ro")
        self._problem = label()
        self._problem.setProperty("bad", True)  # noqa: FBT003 - a Qt property
        self._problem.hide()
        self._form = QFormLayout()
        self._form.setHorizontalSpacing(14)
        self._form.setVerticalSpacing(10)
        self._labels = {key: label() for key in ("where", "plain", "secret", "folders")}
        self._form.addRow("Name", self.name)
        self._form.addRow("It is", self.kind)
        for key, field in (
            ("where", self.where),
            ("plain", self.plain),
            ("secret", self.secret),
            ("folders", self.folders),
        ):
            self._form.addRow(self._labels[key], field)
        propose = primary(button("Propose", self._propose, name="server.propose"))
        buttons = row(None, button("Cancel", self.cancelled.emit), propose)
        inner = column(self._form, self._problem, buttons, spacing=12, margin=14)
        note = label("Nothing runs yet: the next step shows the whole command and its limits.", muted=True)
        title = label("New server", bold=True, factor=1.2)
        self.setLayout(column(title, note, card(inner), spacing=8))
        self.kind.currentTextChanged.connect(lambda _text: self._relabel())
        self._relabel()

    def _lines(self, name: str) -> QPlainTextEdit:
        made = QPlainTextEdit()
        made.setObjectName(name)
        made.setTabChangesFocus(True)
        made.setFixedHeight(64)
        return made

    def _relabel(self) -> None:
        local = self.kind.currentText() == _LOCAL
        texts = (
            {"where": "Command", "plain": "Variables", "secret": "Secret variables", "folders": "Folders"}
            if local
            else {"where": "Address", "plain": "Headers", "secret": "Secret headers", "folders": "Folders"}
        )
        for key, text in texts.items():
            self._labels[key].setText(text)
        self._form.setRowVisible(self.folders, local)
        self.where.setPlaceholderText(
            "npx -y @modelcontextprotocol/server-filesystem /home/me/project" if local else "https://example.com/mcp"
        )
        self.plain.setPlaceholderText("NAME=value" if local else "Name: value")
        self.secret.setPlaceholderText("VARIABLE=NAME-OF-A-SECRET" if local else "Header=NAME-OF-A-SECRET")
        for field, key in ((self.where, "where"), (self.plain, "plain"), (self.secret, "secret")):
            field.setAccessibleName(texts[key])
        self.name.setAccessibleName("Name")
        self.kind.setAccessibleName("It is")
        self.folders.setAccessibleName("Folders")

    def arguments(self) -> JsonObject:
        """What `server.add` needs.

        Raises:
            FormError: something does not fit.
        """
        name = self.name.text().strip()
        if not is_name(name):
            raise FormError(f"Name: {NAME_RULE}.")
        secrets = pairs(self.secret.toPlainText(), "=", "Secrets")
        for secret in secrets.values():
            if not is_secret_name(secret):
                raise FormError(f"Secrets: “{secret}” is no name of a secret; the value itself is set under Secrets.")
        where = self.where.text().strip()
        if not where:
            raise FormError("Say which command to run, or which address to call.")
        if self.kind.currentText() == _REMOTE:
            headers = pairs(self.plain.toPlainText(), ":", "Headers")
            return {"name": name, "url": where, "headers": headers, "secret_headers": secrets}
        try:
            argv = shlex.split(where)
        except ValueError as wrong:
            raise FormError("Command: a quotation mark has no partner.") from wrong
        return {
            "name": name,
            "argv": argv,
            "env": pairs(self.plain.toPlainText(), "=", "Variables"),
            "secret_env": secrets,
            "folders": folders(self.folders.toPlainText()),
        }

    def _propose(self) -> None:
        try:
            arguments = self.arguments()
        except FormError as problem:
            self._problem.setText(str(problem))
            self._problem.show()
            return
        self._problem.hide()
        self.proposed.emit(arguments)
