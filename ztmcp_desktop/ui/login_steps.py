"""Logging in at a remote server from the window: what is shown is what is agreed to, and then a browser opens."""

from collections.abc import Callable

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.facts_box import facts_box, rows_of
from ztmcp_desktop.ui.page import ThingsPage
from ztmcp_desktop.ui.parts import card, column, label
from ztmcp_desktop.ui.reading import read_first, views_in

_LOOKING = "Finding out where to log in …"
_WAITING = "A browser opens. Log in there, within five minutes; this page says when it is done."


class LoginSteps:
    """The steps, in the pane of the servers' page."""

    def __init__(self, page: ThingsPage, width: Callable[[], int]) -> None:
        self._page = page
        self._width = width

    def begin(self, name: str) -> None:
        """Find out what the login would be, and show it."""
        self._say(_LOOKING)
        self._ask("server.login-terms", {"name": name}, lambda terms: self._show(name, terms))

    def end(self, name: str) -> None:
        """Forget the login."""
        self._page.change("server.logout", {"name": name}, f"Logged out at {name}.")

    def _show(self, name: str, terms: JsonObject) -> None:
        page = self._page
        page.edit()
        page.put(label(f"Log in at {name}", bold=True, factor=1.2))
        page.put(label(str(terms.get("sentence", "")), muted=True))
        for warning in terms.get("warnings") or []:
            page.put(card(column(label(visible(str(warning))), margin=10), "warning"))
        facts = [(str(key), value) for key, value in terms.get("facts") or []]
        box = facts_box("What you would log in to", rows_of(facts), self._width())
        yes = ("Log in", "server.login", lambda: self._log_in(name, str(terms.get("digest", ""))))
        page.put(box, read_first(yes, ("", page.leave), views_in([box])), None)

    def _log_in(self, name: str, digest: str) -> None:
        self._say(_WAITING)
        self._ask("server.login", {"name": name, "digest": digest}, lambda _: self._wait(name))

    def _wait(self, name: str) -> None:
        def done(_result: JsonObject) -> None:
            self._page.message.say(
                f"You are logged in at {name}. If its offer is not approved yet, approve it.", "good"
            )
            self._page.leave()

        self._ask("server.login-wait", {"name": name}, done)

    def _say(self, text: str) -> None:
        self._page.edit()
        self._page.put(label(text, muted=True), None)

    def _ask(self, verb: str, arguments: JsonObject, done: Callable[[JsonObject], None]) -> None:
        def refused(why: str) -> None:
            self._page.message.say(why, "danger")
            self._page.leave()

        self._page.bridge.ask(verb, arguments, done, refused)
