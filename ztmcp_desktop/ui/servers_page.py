"""The servers: what they are, what they may touch, and the two steps in which they are approved."""

import shlex

from PySide6.QtWidgets import QWidget

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.argument_rows import Row
from ztmcp_desktop.ui.bridge import Bridge
from ztmcp_desktop.ui.confirm_button import ConfirmButton
from ztmcp_desktop.ui.facts_box import facts_box, rows_of
from ztmcp_desktop.ui.login_steps import LoginSteps
from ztmcp_desktop.ui.page import ThingsPage
from ztmcp_desktop.ui.parts import button, card, column, label, primary, row
from ztmcp_desktop.ui.reading import read_first, views_in
from ztmcp_desktop.ui.server_form import ServerForm
from ztmcp_desktop.ui.units import limit_facts

STATES = {
    "proposed": "proposed – nothing of it runs yet",  # noqa: RUF001 - a dash
    "command-approved": "command approved – its offer is not",  # noqa: RUF001 - a dash
    "approved": "approved",
    "changed": "changed since approval – refused",  # noqa: RUF001 - a dash
}
_PANE_MARGIN = 40
_STEP_1 = "After your yes it is started once, confined, without network and secrets, to see what it offers."
_STEP_2 = "Your yes pins exactly this. If any of it changes later, it is refused until you approve it again."


def where_text(server: JsonObject) -> str:
    """The command as it could be typed, or the address."""
    command = server.get("command") or server.get("argv")
    if isinstance(command, list):
        return shlex.join(str(part) for part in command)
    return str(server.get("url") or "")


def facts_of(server: JsonObject) -> tuple[Row, ...]:
    """Command, variables, secret names and limits of a server or its terms, nothing cut."""
    facts: list[tuple[str, Json]] = [("address" if server.get("url") else "command", where_text(server))]
    facts += [("folder", f"{path} ({_access(access)})") for path, access in server.get("folders") or []]
    if not server.get("folders") and not server.get("url"):
        facts.append(("folders", "none: it sees no folder of yours"))
    for key in ("env", "headers", "secret_env", "secret_headers", "argument_secrets"):
        if server.get(key):
            facts.append((key.replace("_", " "), server[key]))
    facts += limit_facts(dict(server.get("limits") or {}))
    if login := server.get("login"):
        clients = ", ".join(login.get("clients") or {}) or "no client yet"
        facts.append(("login", f"at {login.get('issuer')}, for {clients}"))
    for where, name in server.get("secrets") or []:
        facts.append(("secret", f"{name} as {where}" if name != where else str(name)))
    return rows_of(facts)


def runtime_rows(runtime: JsonObject) -> tuple[Row, ...]:
    """The resolved command, what is shown to it, and what was installed for it."""
    facts: list[tuple[str, Json]] = [("command", shlex.join(str(part) for part in runtime.get("argv") or []))]
    for key, word in (("mounts", "reads"), ("installed", "installed"), ("path", "PATH")):
        if runtime.get(key):
            facts.append((word, "\n".join(str(each) for each in runtime[key])))
    return rows_of(facts)


def _access(access: str) -> str:
    return {"ro": "read only", "rw": "read and write"}.get(access, access)


class ServersPage(ThingsPage):
    """List, details, form, and the approval in two steps."""

    title = "Servers"
    add_text = "Add a server"
    empty = (
        "A server is a program or an address that offers tools. Add one with its command; it then waits for your "
        "approval, and runs confined to the folders that you name."
    )

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(bridge, parent)
        self._missing: tuple[str, ...] = ()
        self._logins = LoginSteps(self, lambda: self._width)

    def know_missing(self, missing: tuple[str, ...]) -> None:
        """Limits that this machine cannot enforce."""
        self._missing = missing

    def load(self) -> None:
        self.ask("server.list", {}, self._fill)

    def _fill(self, result: JsonObject, choose: str | None = None) -> None:
        lines = {}
        for server in result.get("servers", []):
            running = " · running" if server.get("running") else ""
            lines[str(server["name"])] = STATES.get(server["approval"], server["approval"]) + running
        self.fill(lines, choose)

    def show_form(self) -> None:
        self.things.setCurrentRow(-1)
        self.edit()
        form = ServerForm()
        form.cancelled.connect(self.leave)
        form.proposed.connect(self._add_server)
        self.put(form, None)
        form.name.setFocus()

    def _add_server(self, arguments: JsonObject) -> None:
        name = str(arguments["name"])

        def done(_result: JsonObject) -> None:
            self.editing = False
            self.message.say(f"{name} is proposed. Look at its command and limits, then approve it.", "good")
            self.ask("server.list", {}, lambda result: self._fill(result, name))

        self.ask("server.add", arguments, done)

    def show_thing(self, name: str) -> None:
        self.ask("server.show", {"name": name}, lambda server: self._show(name, server))

    @property
    def _width(self) -> int:
        return self.area.viewport().width() - _PANE_MARGIN

    def _show(self, name: str, server: JsonObject) -> None:
        if name != self.chosen:
            return
        self.begin()
        approval = str(server.get("approval", ""))
        self.put(label(visible(name), bold=True, factor=1.2))
        self.put(label(STATES.get(approval, approval), muted=True))
        buttons = row(spacing=8)
        if approval == "approved":
            buttons.addWidget(button("Restart", lambda: self.change("server.restart", {"name": name}, "Restarted.")))
        else:
            buttons.addWidget(primary(button("Approve …", lambda: self._terms(name), name="server.approve")))
        buttons.addWidget(button("Log", lambda: self._log(name), name="server.log"))
        if server.get("login"):
            buttons.addWidget(button("Log out", lambda: self._logins.end(name), name="server.logout"))
        elif server.get("kind") == "remote":
            buttons.addWidget(button("Log in …", lambda: self._logins.begin(name), name="server.login-terms"))
        remove = ConfirmButton("Remove", f"Really remove {name}", lambda: self._remove(name))
        buttons.addWidget(remove)
        buttons.addStretch(1)
        self.put(buttons)
        for warning in server.get("warnings") or []:
            self.put(self._warning(str(warning)))
        changes = server.get("changes") or []
        if changes:
            text = "\n".join(str(change) for change in changes)
            self.put(facts_box("Changed since you approved it", rows_of([("", text)]), self._width, "warning"))
        terms = {**(server.get("terms") or server), "login": server.get("login")}
        self.put(facts_box("What it is and may touch", facts_of(terms), self._width))
        if self._missing and server.get("kind") == "local":
            self.put(self._warning("Not enforced on this machine: " + "; ".join(self._missing)))
        self._put_runtime_and_offer(server)
        self.put(None)

    def _put_runtime_and_offer(self, server: JsonObject) -> None:
        if server.get("runtime"):
            self.put(facts_box("How it really runs", runtime_rows(dict(server["runtime"])), self._width))
        if server.get("offer"):
            self.put(self._offer_box(server["offer"]))

    def _offer_box(self, offer: JsonObject) -> QWidget:
        rows = rows_of([(key, value) for key, value in offer.items() if value])
        if not rows:
            rows = rows_of([("", "nothing")])
        return facts_box("What the server says it offers (not verified)", rows, self._width, "sunken")

    def _warning(self, text: str) -> QWidget:
        return card(column(label(visible(text)), margin=10), "warning")

    def _remove(self, name: str) -> None:
        self.things.setCurrentRow(-1)
        self.change("server.remove", {"name": name}, f"{name} is removed.")

    def _log(self, name: str) -> None:
        def done(result: JsonObject) -> None:
            text = "\n".join(str(line) for line in result.get("lines", [])) or "nothing was written"
            self.edit()
            self.put(row(button("Back", self.leave), None))
            self.put(facts_box(f"What {name} wrote to its log (not verified)", rows_of([("", text)]), self._width))
            self.put(None)

        self.ask("server.log", {"name": name}, done)

    # The two steps.

    def _terms(self, name: str) -> None:
        self.edit()
        self.put(label("Finding out how the command really runs …", muted=True), None)
        self.bridge.ask("server.terms", {"name": name}, lambda terms: self._show_terms(name, terms), self._refused)

    def _show_terms(self, name: str, result: JsonObject) -> None:
        self.edit()
        self.put(label(f"Approve {name}: step 1 of 2, what runs", bold=True, factor=1.2))
        self.put(label(_STEP_1, muted=True))
        for warning in result.get("warnings") or []:
            self.put(self._warning(str(warning)))
        if self._missing:
            self.put(self._warning("Not enforced on this machine: " + "; ".join(self._missing)))
        boxes = [facts_box("Command and limits", facts_of(result.get("terms") or {}), self._width)]
        if result.get("runtime"):
            boxes.append(facts_box("How it really runs", runtime_rows(dict(result["runtime"])), self._width))
        digest = result.get("digest", "")
        yes = ("Approve the command", "server.approve-command", lambda: self._approve_command(name, digest))
        self.put(*boxes, read_first(yes, ("", self.leave), views_in(boxes)), None)

    def _approve_command(self, name: str, digest: str) -> None:
        self.edit()
        self.put(label("Starting it once to see what it offers; this takes up to 20 seconds …", muted=True), None)
        arguments = {"name": name, "digest": digest}
        self.bridge.ask("server.approve-command", arguments, lambda got: self._show_offer(name, got), self._refused)

    def _refused(self, why: str) -> None:
        self.message.say(why, "danger")
        self.leave()

    def _show_offer(self, name: str, result: JsonObject) -> None:
        if not result.get("answered"):
            self.message.say(f"The command of {name} is approved. It did not answer, so nothing of it is offered yet.")
            self.leave()
            return
        self.edit()
        self.put(label(f"Approve {name}: step 2 of 2, what it offers", bold=True, factor=1.2))
        self.put(label(_STEP_2, muted=True))
        for warning in result.get("warnings") or []:
            self.put(self._warning(str(warning)))
        box = self._offer_box(result.get("offer") or {})
        arguments = {"name": name, "digest": result.get("digest", "")}

        def approve() -> None:
            self.change("server.approve-offer", arguments, f"{name} is approved.")

        yes = ("Approve what it offers", "server.approve-offer", approve)
        self.put(box, read_first(yes, ("", self.leave), views_in([box])), None)
