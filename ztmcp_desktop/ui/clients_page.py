"""The clients: what each may do, tokens, which are shown once, logins, and what was remembered for them."""

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QWidget

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.names import NAME_RULE, is_name
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.confirm_button import ConfirmButton
from ztmcp_desktop.ui.facts_box import facts_box, rows_of
from ztmcp_desktop.ui.page import ThingsPage
from ztmcp_desktop.ui.parts import Chooser, button, card, column, label, primary, row
from ztmcp_desktop.ui.units import moment_text

_DAY_S = 86_400
PAIRING_S = 300
LOOK_S = 30
_REGISTERING = (
    "For five minutes programs may register. Give yours the address of a server; you are asked about each login."
)
_GIVEN = {"look, and run tools": ["read", "call"], "look only": ["read"]}
_WAYS = {
    "token": "a token that you gave it",
    "bridge": "the bridge",
    "registered": "logging in; it registered itself",
    "document": "logging in; a document describes it",
}
_RIGHTS = {"read": "look", "call": "run tools"}
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
        "A client is an AI application. Give it the address of a server and let it register to log in; or add it here "
        "to get a token for its settings. It can reach only the servers that you choose."
    )

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(bridge, parent)
        self._clients: dict[str, JsonObject] = {}
        self._grants: list[JsonObject] = []
        self._pairing = False
        self._pair = button("", self._toggle_pairing, name="clients.pair")
        self.head.insertWidget(self.head.count() - 1, self._pair)
        self._look_again = QTimer(self)
        self._look_again.setSingleShot(True)
        self._look_again.timeout.connect(self._ask_pairing)
        self._show_pairing({})

    def load(self) -> None:
        def listed(result: JsonObject) -> None:
            self._clients = {str(client["name"]): client for client in result.get("clients", [])}
            self.ask("grant.list", {}, granted)

        def granted(result: JsonObject) -> None:
            self._grants = list(result.get("grants", []))
            self.fill({name: self._below(client) for name, client in self._clients.items()})

        self.ask("client.list", {}, listed)
        self._ask_pairing()

    def _ask_pairing(self) -> None:
        self.ask("client.pairing", {}, self._show_pairing)

    def _show_pairing(self, result: JsonObject) -> None:
        """Whether programs may register now, on the button that changes it; looked at again when that ends."""
        left_s = int(result.get("left_s") or 0)
        self._pairing = left_s > 0
        minutes = -(-left_s // 60)
        text = f"Stop letting programs register ({minutes} min left)" if self._pairing else "Let a program register"
        self._pair.setText(text)
        self._pair.setAccessibleName(text)
        if self._pairing:
            self._look_again.start(min(left_s, LOOK_S) * 1000)

    def _toggle_pairing(self) -> None:
        def done(result: JsonObject) -> None:
            self._show_pairing(result)
            self.message.say(_REGISTERING if self._pairing else "Programs may no longer register.", "good")

        self.ask("client.pair", {"for_s": 0 if self._pairing else PAIRING_S}, done)

    def _below(self, client: JsonObject) -> str:
        state = "" if client.get("live") else f"{_over(client)} · "
        return state + (", ".join(_may(client)) or "no server")

    def show_thing(self, name: str) -> None:
        client = self._clients.get(name)
        if client is None:
            return
        self.begin()
        width = self.area.viewport().width() - 40
        revoke = ConfirmButton("Revoke", f"Really end {name} and its calls", lambda: self._revoke(name))
        revoke.setObjectName("client.revoke")
        self.put(label(visible(name), bold=True, factor=1.2), row(revoke, None))
        self.put(facts_box("What it may do", rows_of(_facts(client)), width))
        logins = [(_scope(login["server"], login["may"]), _span(login)) for login in client.get("logins", [])]
        if logins:
            self.put(facts_box("Its logins", rows_of(logins), width))
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
        may = Chooser()
        may.setObjectName("client.may")
        may.setAccessibleName("What it may do")
        may.addItems(list(_GIVEN))
        boxes = [QCheckBox(server) for server in servers]
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow("Name", name)
        form.addRow("At", column(*boxes, spacing=4))
        form.addRow("May", may)
        form.addRow("Expires after", life)

        def add() -> None:
            chosen = [box.text() for box in boxes if box.isChecked()]
            if not is_name(name.text()):
                self.message.say(f"Name: {NAME_RULE}.")
            elif not chosen:
                self.message.say("Choose at least one server that this client may call.")
            else:
                wanted: JsonObject = {"name": name.text(), "servers": chosen, "rights": _GIVEN[may.currentText()]}
                wanted["expires_s"] = _LIVES[life.currentText()]
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


def _scope(server: Json, rights: Json) -> str:
    """`files: look, run tools`."""
    words = [_RIGHTS.get(str(right), str(right)) for right in rights] if isinstance(rights, list) else []
    return f"{server}: {', '.join(words) or 'nothing'}"


def _may(client: JsonObject) -> list[str]:
    return [_scope(server, rights) for server, rights in dict(client.get("may") or {}).items()]


def _over(client: JsonObject) -> str:
    return "expired" if client.get("kind") in {"token", "bridge"} else "not logged in"


def _span(login: JsonObject) -> str:
    return f"{moment_text(str(login.get('since')))} to {moment_text(str(login.get('expires')))}"


def _facts(client: JsonObject) -> list[tuple[str, Json]]:
    """What the client may do, since when, how it comes, and when it was seen last."""
    seen = client.get("last_seen_at")
    facts: list[tuple[str, Json]] = [("may", "\n".join(_may(client)) or "nothing")]
    if client.get("calls_itself") is not None:
        facts.append(("calls itself", f"{client['calls_itself']} (its own word)"))
    facts.append(("by", _WAYS.get(str(client.get("kind")), "")))
    if client.get("program"):
        facts.append(("program", str(client["program"])))
    facts.append(("since", moment_text(str(client.get("created", "")))))
    facts.append(("until", moment_text(str(client.get("expires", ""))) if client.get("live") else _over(client)))
    facts.append(("last seen", moment_text(str(seen)) if seen else "never"))
    return facts
