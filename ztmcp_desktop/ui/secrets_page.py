"""The secrets by name; their values go to the keychain and are never shown."""

from PySide6.QtWidgets import QFormLayout, QLineEdit, QWidget

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import is_secret_name
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.confirm_button import ConfirmButton
from ztmcp_desktop.ui.page import ThingsPage
from ztmcp_desktop.ui.parts import button, card, column, label, primary, row


class SecretsPage(ThingsPage):
    """Names, whom each is given to, set and remove."""

    title = "Secrets"
    add_text = "Set a secret"
    empty = (
        "A secret is a key or password that a server needs. Its value lies in the system's keychain; "
        "clients never see it, and it stands in no file of ours."
    )

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(bridge, parent)
        self._given: dict[str, list[str]] = {}

    def load(self) -> None:
        self.ask("secret.list", {}, self._fill)

    def _fill(self, result: JsonObject) -> None:
        self._given = {str(each["name"]): list(each.get("given_to", [])) for each in result.get("names", [])}
        self.fill({name: self._below(given) for name, given in self._given.items()})

    def _below(self, given: list[str]) -> str:
        return "given to " + ", ".join(given) if given else "given to no server"

    def show_thing(self, name: str) -> None:
        self.begin()
        remove = ConfirmButton("Remove", f"Really remove {name}", lambda: self._remove(name))
        self.put(label(visible(name), bold=True, factor=1.2))
        self.put(label(self._below(self._given.get(name, [])), muted=True))
        self.put(row(button("Set another value", lambda: self._form(name)), remove, None), None)

    def _remove(self, name: str) -> None:
        self.things.setCurrentRow(-1)
        self.change("secret.remove", {"name": name}, f"{name} is removed from the keychain.")

    def show_form(self) -> None:
        self._form("")

    def _form(self, known: str) -> None:
        self.edit()
        name = QLineEdit(known)
        name.setObjectName("secret.name")
        name.setAccessibleName("Name")
        name.setPlaceholderText("GITHUB_TOKEN")
        value = QLineEdit()
        value.setObjectName("secret.value")
        value.setAccessibleName("Value")
        value.setEchoMode(QLineEdit.EchoMode.Password)
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow("Name", name)
        form.addRow("Value", value)

        def keep() -> None:
            if not is_secret_name(name.text()):
                self.message.say("Name: a letter, then up to 63 letters, digits, _ or -.")
            elif not value.text():
                self.message.say("Type or paste the value.")
            else:
                wanted = {"name": name.text(), "value": value.text()}
                value.clear()
                self.change("secret.set", wanted, f"{name.text()} is in the keychain.")

        save = primary(button("Keep it in the keychain", keep, name="secret.save"))
        self.put(label("Set a secret", bold=True, factor=1.2))
        self.put(card(column(form, row(None, button("Cancel", self.leave), save), spacing=12, margin=14)), None)
        (value if known else name).setFocus()
