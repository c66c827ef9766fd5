"""The control plane: every verb that shows or changes the gateway, for window, command line and socket alike."""

import asyncio
import copy

from ztmcp_desktop.control.approvals import Approvals
from ztmcp_desktop.control.audit import Audit
from ztmcp_desktop.control.clients import Clients
from ztmcp_desktop.control.grants import Grants
from ztmcp_desktop.control.lock import Lock, StoredLockdown
from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.preferences import Preferences
from ztmcp_desktop.control.proposals import Proposals
from ztmcp_desktop.control.remote_logins import RemoteLogins
from ztmcp_desktop.control.rules import RuleVerbs
from ztmcp_desktop.control.secrets import SecretNames, Secrets
from ztmcp_desktop.control.servers import Servers
from ztmcp_desktop.control.status import Status
from ztmcp_desktop.control.verbs import Verb
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome

_KINDS = {
    "server": EntryKind.SERVER,
    "client": EntryKind.CLIENT,
    "secret": EntryKind.SECRET,
    "rule": EntryKind.RULE,
    "unlock": EntryKind.LOCK,
    "audit": EntryKind.PRUNE,
}


class Plane:
    """Implements `ports.ControlPlane`. Whoever asks here has the person's word already; `Outside` gets it first."""

    def __init__(self, parts: PlaneParts, lockdown: StoredLockdown) -> None:
        names, approvals = SecretNames(parts.state), Approvals(parts)
        self.verbs: dict[str, Verb] = {
            **Status(parts, lockdown).verbs(),
            **Lock(parts, lockdown).verbs(),
            **approvals.verbs(),
            **Servers(parts, names, approvals).verbs(),
            **RemoteLogins(parts).verbs(),
            **Clients(parts).verbs(),
            **Secrets(parts, names).verbs(),
            **RuleVerbs(parts).verbs(),
            **Grants(parts).verbs(),
            **Audit(parts).verbs(),
            **Preferences(parts).verbs(),
        }

    def verb(self, name: str) -> Verb:
        """The verb of this name.

        Raises:
            Denial: there is none (`schema-mismatch`).
        """
        if name not in self.verbs:
            raise Denial(Code.SCHEMA_MISMATCH, f"there is no verb {name[:64]!r}")
        return self.verbs[name]

    async def ask(self, verb: str, arguments: JsonObject) -> JsonObject:
        return await self.verb(verb).do(arguments)


class Outside:
    """The plane for whoever comes through the control socket: where there is a screen, what widens is asked there."""

    def __init__(self, plane: Plane, parts: PlaneParts, proposals: Proposals) -> None:
        self._plane = plane
        self._parts = parts
        self._proposals = proposals

    async def ask(self, verb: str, untrusted: JsonObject) -> JsonObject:
        """As `ControlPlane.ask`, within the verb's patience and the person's. There is no verb that approves.

        Raises:
            Denial: as `ControlPlane.ask`; `too-slow`.
        """
        known = self._plane.verb(verb)
        # What the person sees is what is done: nobody else holds this copy.
        arguments = copy.deepcopy(untrusted)
        if known.proposes is not None and self._parts.front.screen:
            await self._agree(verb, known, arguments)
        try:
            async with asyncio.timeout(known.patience_s):
                return await known.do(arguments)
        except TimeoutError as error:
            raise Denial(
                Code.TOO_SLOW, f"{verb} took longer than {known.patience_s:g} s; look at its effect"
            ) from error

    async def _agree(self, name: str, verb: Verb, arguments: JsonObject) -> None:
        widening = await verb.proposes(arguments) if verb.proposes is not None else None
        if widening is None:
            return
        try:
            await self._proposals.agree(widening, own=True)
        except Denial as denial:
            await self._parts.ledger.append(
                Draft(
                    kind=_KINDS.get(name.partition(".")[0], EntryKind.SETTINGS),
                    method=name,
                    subject=widening.title,
                    outcome=Outcome.DENIED,
                    code=denial.code,
                )
            )
            raise
        again = await verb.proposes(arguments) if verb.proposes is not None else None
        if again != widening:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, "this changed while it was asked about; try again")
