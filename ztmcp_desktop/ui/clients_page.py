"""The clients: their tokens, which are shown once, and what was remembered for them."""

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QWidget

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import NAME_RULE, is_name
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.confirm_button import ConfirmButton
from ztmcp_desktop.ui.facts_box import facts_box, rows_of
from ztmcp_desktop.ui.page import ThingsPage
from ztmcp_desktop.ui.parts import Chooser, button, card, column, label, primary, row
from ztmcp_desktop.ui.units import moment_text

_DAY_S = 86_400
_LIVES = {"90 days": 90 * _DAY_S, "30 days": 30 * _DAY_S, "7 days": 7 * _DAY_S, "1 day": _DAY_S}


def program_facts(client: JsonObject) -> list[tuple[str, str]]:
    """The programs that a client was seen as: the first, the last, and those that nobody has said yes to."""
    last = client.get("last_seen")
    facts = [("first", _program(client["first_seen"]))] if client.get("first_seen") else []
    others = client.get("others_seen", [])
    facts += [("also" if other.get("accepted") else "NOT ALLOWED", _program(other)) for other in others]
    return [*facts, ("last", _program(last))] if last else facts


def _program(seen: JsonObject) -> str:
    place = f"{seen.get('path')} {seen.get('script')}".strip()
    since = f", since {moment_text(str(seen['since']))}" if seen.get("since") else ""
    return f"{place} (file {str(seen.get('sha256'))[:12]}…){since}"


class ClientsPage(ThingsPage):
    """List, a form, the token, and the remembered consents."""

    title = "Clients"
    add_text = "Add a client"
    empty = (
        "A client is an AI application. Add one to get its token and the addresses to put into its settings; "
        "it can reach only the servers that you choose here."
    )

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(bridge, parent)
        self._clients: dict[str, JsonObject] = {}
        self._grants: list[JsonObject] = []

    def load(self) -> None:
        def listed(result: JsonObject) -> None:
            self._clients = {str(client["name"]): client for client in result.get("clients", [])}
            self.ask("grant.list", {}, granted)

        def granted(result: JsonObject) -> None:
            self._grants = list(result.get("grants", []))
            self.fill({name: self._below(client) for name, client in self._clients.items()})

        self.ask("client.list", {}, listed)

    def _below(self, client: JsonObject) -> str:
        state = "" if client.get("live") else "expired · "
        return state + (", ".join(client.get("servers", [])) or "no server")

    def show_thing(self, name: str) -> None:
        client = self._clients.get(name)
        if client is None:
            return
        self.begin()
        width = self.area.viewport().width() - 40
        revoke = ConfirmButton("Revoke", f"Really end {name} and its calls", lambda: self._revoke(name))
        revoke.setObjectName("client.revoke")
        self.put(label(visible(name), bold=True, factor=1.2), row(revoke, None))
        facts = [("servers", ", ".join(client.get("servers", [])))]
        facts += [(key, moment_text(str(client.get(key, "")))) for key in ("created", "expires")]
        if client.get("program"):
            facts.insert(0, ("program", str(client["program"])))
        self.put(facts_box("Over the bridge" if client.get("program") else "Its token", rows_of(facts), width))
        if programs := program_facts(client):
            self.put(facts_box("Programs that called, as the system says", rows_of(programs), width))
        self.put(label("Remembered for its session", bold=True))
        grants = [grant for grant in self._grants if grant.get("client") == name]
        if not grants:
            self.put(label("Nothing: each call is asked about, unless a rule permits it.", muted=True))
        for grant in grants:
            self.put(self._grant(grant))
        self.put(None)

    def _grant(self, grant: JsonObject) -> QWidget:
        text = f"{grant.get('server')}.{visible(str(grant.get('subject')))} with exactly the same arguments"
        used = f"since {moment_text(str(grant.get('granted_at')))}, used {grant.get('used')} times"
        texts = column(label(text), label(used, muted=True), spacing=0)
        line = row(spacing=10)
        line.addLayout(texts, 1)
        end = button("Revoke", lambda: self.change("grant.revoke", {"id": grant["id"]}, "It will be asked again."))
        end.setAccessibleName(f"revoke what is remembered of {grant.get('subject')}")
        line.addWidget(end)
        line.setContentsMargins(12, 8, 12, 8)
        return card(line)

    def _revoke(self, name: str) -> None:
        self.things.setCurrentRow(-1)
        self.change("client.revoke", {"name": name}, f"{name} can no longer call anything.")

    def show_form(self) -> None:
        self.ask("server.list", {}, self._show_form)

    def _show_form(self, result: JsonObject) -> None:
        servers = [str(server["name"]) for server in result.get("servers", [])]
        self.things.setCurrentRow(-1)
        self.edit()
        self.put(label("New client", bold=True, factor=1.2))
        if not servers:
            self.put(label("Add a server first: a token is for named servers only.", muted=True), None)
            return
        name = QLineEdit()
        name.setObjectName("client.name")
        name.setAccessibleName("Name")
        name.setPlaceholderText("claude-code")
        life = Chooser()
        life.setAccessibleName("Expires after")
        life.addItems(list(_LIVES))
        boxes = [QCheckBox(server) for server in servers]
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow("Name", name)
        form.addRow("May call", column(*boxes, spacing=4))
        form.addRow("Expires after", life)

        def add() -> None:
            chosen = [box.text() for box in boxes if box.isChecked()]
            if not is_name(name.text()):
                self.message.say(f"Name: {NAME_RULE}.")
            elif not chosen:
                self.message.say("Choose at least one server that this client may call.")
            else:
                wanted = {"name": name.text(), "servers": chosen, "expires_s": _LIVES[life.currentText()]}
                self.ask("client.add", wanted, self._show_token)

        make = primary(button("Make a token", add, name="client.make"))
        self.put(card(column(form, row(None, button("Cancel", self.leave), make), spacing=12, margin=14)), None)
        name.setFocus()

    def _show_token(self, made: JsonObject) -> None:
        """The one time that the token can be seen."""
        self.message.hide()
        self.edit()
        width = self.area.viewport().width() - 40
        token = str(made.get("token", ""))
        self.put(label(f"The token of {made.get('client')}", bold=True, factor=1.2))
        once = "It is shown this once. Put it into the client's settings now; a lost one is replaced, not found."
        self.put(label(once, muted=True))
        copy = primary(button("Copy the token", lambda: QGuiApplication.clipboard().setText(token), name="client.copy"))
        self.put(facts_box("Token", rows_of([("", token)]), width, "good"), row(copy, None))
        endpoints = [(server, url) for server, url in dict(made.get("endpoints") or {}).items()]
        self.put(facts_box("Addresses", rows_of(endpoints), width))
        self.put(row(None, button("Done", self.leave, name="client.done")), None)
