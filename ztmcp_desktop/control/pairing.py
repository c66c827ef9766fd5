"""Lets programs in over the bridge: those that the person let in before, and others when the person says yes now."""

import re
from collections import OrderedDict
from pathlib import Path

from ztmcp_desktop.control.client_names import free_name
from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.proposals import Proposals
from ztmcp_desktop.domain.caller import Attested
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import ClientName, ServerName, is_name
from ztmcp_desktop.ports import Lockdown

LIFE_S = 90 * 86_400.0
MAX_ASKED = 2
REFUSED_S = 60.0
MAX_REFUSED = 256
MAX_NAME = 24
_GENERAL = frozenset({"cli", "index", "main", "__main__", "server", "app", "dist", "bin", "build", "lib", "src"})

_Wanted = tuple[str, ServerName]


class Pairing:
    """Finds the client that a program is over the bridge, and asks the person where it is none yet.

    A program is known by its place: the file, and of an interpreter its script. Which version of it calls is looked
    at with each call, like that of every client. A no counts for a minute, so that a client that starts the bridge
    again and again asks once.
    """

    def __init__(self, parts: PlaneParts, proposals: Proposals, lockdown: Lockdown) -> None:
        self._parts = parts
        self._proposals = proposals
        self._lockdown = lockdown
        self._asked: set[_Wanted] = set()
        self._refused: OrderedDict[_Wanted, float] = OrderedDict()

    async def admit(self, caller: Attested, server: ServerName) -> Principal:
        """Who this is.

        Raises:
            Denial: the person did not let this program call this server, there is nobody to be asked, or all is locked.
        """
        try:
            return self._parts.clients.admit(caller.program, server)
        except Denial as denial:
            if denial.code is not Code.UNAUTHENTICATED:
                raise
        self._parts.configuration.get(server)
        place = caller.program.place
        if not self._parts.front.screen:
            raise Denial(
                Code.NOBODY_THERE,
                f"nobody let {place!r} call {server} over the bridge, and there is no window to ask in; "
                f"on the command line: ztmcp client add NAME --server {server} --program {place!r}",
            )
        self._require_open()
        await self._ask(caller, (place, server))
        self._require_open()
        name = self._let_in(caller, server)
        await self._record(name, Draft(kind=EntryKind.CLIENT, client=name, server=server, method="pair", subject=name))
        self._parts.clients.meet(principal := self._parts.clients.admit(caller.program, server), caller)
        return principal

    async def _ask(self, caller: Attested, wanted: _Wanted) -> None:
        now = self._parts.clock.monotonic()
        if self._refused.get(wanted, -REFUSED_S) + REFUSED_S > now:
            raise Denial(Code.REFUSED_BY_PERSON, "the person at this computer said no a moment ago", Retry.LATER)
        if wanted in self._asked or len(self._asked) >= MAX_ASKED:
            raise Denial(Code.NO_ANSWER, "the person is being asked about a program already", Retry.LATER)
        self._asked.add(wanted)
        try:
            await self._proposals.agree(_widening(caller, wanted[1]))
        except Denial as denial:
            self._refused[wanted] = self._parts.clock.monotonic()
            while len(self._refused) > MAX_REFUSED:
                self._refused.popitem(last=False)
            draft = Draft(
                kind=EntryKind.CLIENT,
                server=wanted[1],
                method="pair",
                subject=caller.program.place,
                outcome=Outcome.DENIED,
                code=denial.code,
            )
            await self._record(None, draft)
            raise
        finally:
            self._asked.discard(wanted)

    def _let_in(self, caller: Attested, server: ServerName) -> ClientName:
        clients = self._parts.clients
        # The server may have gone while the person was asked.
        self._parts.configuration.get(server)
        known = clients.bridged(caller.program)
        if known is not None and known.expires > self._parts.clock.now():
            clients.widen(known.name, (server,))
            return known.name
        if known is not None:
            clients.revoke(known.name)
        name = known.name if known is not None else free_name(name_of(caller), clients, self._parts.rules)
        clients.add(name, (server,), LIFE_S, bridge=caller.program.place)
        return name

    def _require_open(self) -> None:
        if self._lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything is locked")

    async def _record(self, name: ClientName | None, draft: Draft) -> None:
        masked = self._parts.redact({"subject": draft.subject})
        try:
            await self._parts.ledger.append(
                Draft(
                    kind=draft.kind,
                    client=draft.client,
                    server=draft.server,
                    method=draft.method,
                    subject=masked["subject"],
                    outcome=draft.outcome,
                    code=draft.code,
                )
            )
        except Denial:
            # What is not on record is not in force.
            if name is not None:
                self._parts.clients.revoke(name)
            raise


def name_of(caller: Attested) -> str:
    """A client's name, made of the program's: of the script, or the folder that it is in, where it has one."""
    program = caller.program
    path = Path(program.script if program.script.startswith("/") else program.path)
    words = [program.script.removeprefix("-m ")] if program.script.startswith("-m ") else []
    words += [path.stem, *(part.name for part in path.parents)]
    for word in words:
        name = re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "-", word.lower())).strip("-")[:MAX_NAME].strip("-")
        if is_name(name) and name not in _GENERAL:
            return name
    return "program"


def _widening(caller: Attested, server: ServerName) -> Widening:
    program = caller.program
    facts = [("Server", server), ("Program", program.path), ("Its file (SHA-256)", program.sha256)]
    if program.script:
        facts.append(("Runs", f"{program.script} {program.script_sha256}".strip()))
    facts += [
        ("Process", f"{caller.pid}, of {caller.owner}"),
        ("Its command", " ".join(caller.arguments)),
        ("Started by", " ← ".join(caller.parents) or "the system does not say"),
        ("For", f"{LIFE_S / 86_400:g} days, or until you revoke it"),
    ]
    return Widening(
        title=f"Let {name_of(caller)} call {server}",
        sentence="This program, as the system reports it, started the bridge. It may then call the server; each call "
        "is asked about as ever.",
        facts=tuple(facts),
        warnings=("Whatever runs as this program may call, so think of who can tell it what to do.",)
        if program.script
        else (),
    )
