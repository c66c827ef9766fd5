"""How the gateway is, in one answer; and reading again what was edited by hand."""

import os

from ztmcp_desktop import __version__
from ztmcp_desktop.control.doctor import examine
from ztmcp_desktop.control.lock import StoredLockdown
from ztmcp_desktop.control.machine import keychain_json
from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind

STATUS_S = 15.0
DOCTOR_S = 60.0


class Status:
    """The verbs `status`, `doctor`, `edited`, `reload` and `raise`."""

    def __init__(self, parts: PlaneParts, lockdown: StoredLockdown) -> None:
        self._parts = parts
        self._lockdown = lockdown

    def verbs(self) -> Verbs:
        return {
            "status": Verb(do=self.status, patience_s=STATUS_S),
            "doctor": Verb(do=self.doctor, patience_s=DOCTOR_S),
            "edited": Verb(do=self.edited),
            "reload": Verb(do=self.reload, proposes=self._reloading),
            "raise": Verb(do=self.raise_window),
        }

    async def status(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        parts, clients = self._parts, self._parts.clients.all()
        sandbox, why = parts.sandbox.report(), parts.rules.why_nothing()
        return {
            "running": parts.front.port is not None,
            "pid": os.getpid(),
            "port": parts.front.port,
            "screen": parts.front.screen,
            "locked": self._lockdown.locked,
            "version": __version__,
            "open_questions": parts.front.open_questions(),
            "in_flight": parts.flight.in_flight(),
            "clients": [client.name for client in clients],
            "servers": [
                {
                    "name": server.name,
                    "approval": parts.catalogue.approval(server.name),
                    "running": any(parts.upstreams.running(client.name, server.name) for client in clients),
                }
                for server in parts.configuration.all()
            ],
            "rules": {"work": not why, "reason": why},
            "keychain": await keychain_json(parts.vault),
            "sandbox": {
                "name": sandbox.name,
                "works": sandbox.works,
                "reason": sandbox.reason,
                "mend": sandbox.mend,
                "missing": list(sandbox.missing),
            },
        }

    async def doctor(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {"checks": await examine(self._parts.home, self._parts.user_home)}

    async def edited(self, untrusted: JsonObject) -> JsonObject:
        """What was edited outside ztmcp and does not count yet, as [what, how it is now]."""
        Arguments.of(untrusted)
        return {"changed": [list(each) for each in self._edited()]}

    async def reload(self, untrusted: JsonObject) -> JsonObject:
        """Uses the edited files; with `seen`, which is what `edited` gave, only if they are still like that."""
        Arguments.of(untrusted, "seen")
        changed = self._edited()
        if "seen" in untrusted and untrusted["seen"] != [list(each) for each in changed]:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, "the files changed again while you read them; look once more")
        if changed:
            draft = Draft(kind=EntryKind.SETTINGS, method="reload", body={"changed": [what for what, _ in changed]})
            await self._parts.ledger.append(draft)
            if self._edited() != changed:
                raise Denial(Code.CHANGED_SINCE_APPROVAL, "the files changed again while they were read; try again")
        self._parts.configuration.adopt()
        if self._parts.rules.drift():
            self._parts.rules.adopt()
        return {"changed": [what for what, _ in changed]}

    async def raise_window(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        if self._parts.front.raise_window is None:
            raise Denial(Code.NOT_PERMITTED, "a gateway without a window runs already; stop it first")
        self._parts.front.raise_window()
        return {"raised": True}

    async def _reloading(self, untrusted: JsonObject) -> Widening | None:
        Arguments.of(untrusted, "seen")
        changed = self._edited()
        if not changed:
            return None
        return Widening(
            title="Use the edited files",
            sentence="Settings or rules were edited outside ztmcp. They count only if you agree.",
            facts=changed,
        )

    def _edited(self) -> tuple[tuple[str, str], ...]:
        drift = self._parts.rules.drift()
        texts = {f"{rule.id}.cedar": rule.text for rule in self._parts.rules.all()}
        rules = tuple((f"rule file {name}", texts.get(name, "removed or unreadable")) for name in drift)
        return (*self._parts.configuration.differences(), *rules)
