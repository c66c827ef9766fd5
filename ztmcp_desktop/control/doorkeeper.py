"""Clients that log in: what the person is asked of them, and what a yes does."""

import re
from dataclasses import dataclass
from datetime import timedelta

from ztmcp_desktop.control.client_names import free_name
from ztmcp_desktop.control.proposals import Proposals
from ztmcp_desktop.domain.caller import Attested, caller_json
from ztmcp_desktop.domain.client import Introduction, LetIn, Login, Right, scopes
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.names import ClientName, is_name
from ztmcp_desktop.gateway.oauth.redirects import host_of, is_loopback
from ztmcp_desktop.policy.rules import Rules
from ztmcp_desktop.ports import ClientBook, Clock, Ledger, Lockdown, Redact

LOGIN_DAYS = (7, 30, 90)
"""How long a login may last, as the person chooses."""
MAX_ASKED = 2
REFUSED_S = 60.0
MAX_REFUSED_OF_ONE = 3
MAX_REFUSED = 8
"""How many refusals there may be within `REFUSED_S`, of one client or program and of all, before nobody is asked."""
MAX_NAME_CHARS = 24
MAX_PARENTS = 2
_RIGHTS = {
    Right.READ: "see what it offers, and read its resources and prompts",
    Right.CALL: "run its tools, each run under your rules",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorkeeperParts:
    """What the doorkeeper needs; `redact` is used on whatever goes to the ledger."""

    proposals: Proposals
    clients: ClientBook
    rules: Rules
    ledger: Ledger
    lockdown: Lockdown
    clock: Clock
    redact: Redact


class Doorkeeper:
    """Implements `ports.Doorkeeper` with a proposal in our own window.

    After a few refusals a client is not asked about for a while, nor is the program that waits for its answer; an id
    costs nothing, so after some more nobody is.
    """

    def __init__(self, parts: DoorkeeperParts) -> None:
        self._parts = parts
        self._asked = 0
        self._refused: list[tuple[float, frozenset[str]]] = []

    async def let_in(self, login: Login) -> LetIn:
        self._require_open()
        await self._require_patience(login)
        name = login.known_as or self._free_name(login.registration.claimed_name)
        self._asked += 1
        try:
            days = LOGIN_DAYS[await self._parts.proposals.agree(widening(login, name))]
            self._require_open()
        except Denial as denial:
            if denial.code is Code.REFUSED_BY_PERSON:
                self._refused.append((self._parts.clock.monotonic(), _who(login)))
            await self._record(login, name, (Outcome.DENIED, denial.code))
            raise
        finally:
            self._asked -= 1
        # On record before it is in force.
        await self._record(login, name, (Outcome.ALLOWED, None), days)
        client = self._parts.clients.let_in(name, login.registration, login.server, login.rights)
        return LetIn(client=client, expires=self._parts.clock.now() + timedelta(days=days))

    def _require_open(self) -> None:
        if self._parts.lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything is locked")

    async def _require_patience(self, login: Login) -> None:
        """Refuse what the person should not be asked now. It is counted in the ledger, since it may come often."""
        now = self._parts.clock.monotonic()
        self._refused = [(at, who) for at, who in self._refused if at + REFUSED_S > now]
        own = sum(1 for _, who in self._refused if who & _who(login))
        if len(self._refused) >= MAX_REFUSED or own >= MAX_REFUSED_OF_ONE:
            refusal = Denial(Code.REFUSED_BY_PERSON, "the person at this computer said no a moment ago", Retry.LATER)
        elif self._asked >= MAX_ASKED:
            refusal = Denial(Code.NO_ANSWER, "the person is being asked about a login already", Retry.LATER)
        else:
            return
        draft = Draft(kind=EntryKind.REJECTED, server=login.server, outcome=Outcome.DENIED, code=refusal.code)
        await self._parts.ledger.reject(draft, "login")
        raise refusal

    def _free_name(self, untrusted_claim: str) -> ClientName:
        """A name after what the client calls itself."""
        slug = re.sub(r"[^a-z0-9]+", "-", untrusted_claim.lower()).strip("-")[:MAX_NAME_CHARS].strip("-")
        stem = slug if is_name(slug) else "client"
        return free_name(stem, self._parts.clients, self._parts.rules)

    async def _record(self, login: Login, name: ClientName, ending: tuple[Outcome, Code | None], days: int = 0) -> None:
        outcome, code = ending
        body: JsonObject = {
            "calls_itself": login.registration.claimed_name,
            "client_id": login.registration.id,
            "redirect_uri": login.redirect_uri,
            "scope": scopes(login.server, login.rights),
            "registered_by": login.registration.program,
            "received_by": caller_json(login.receiver),
            "days": days,
        }
        await self._parts.ledger.append(
            Draft(
                kind=EntryKind.CLIENT,
                client=name,
                server=login.server,
                method="login",
                subject=name,
                outcome=outcome,
                code=code,
                body=self._parts.redact(body),
            )
        )


def _who(login: Login) -> frozenset[str]:
    """What a client that was refused is known by."""
    match login.receiver:
        case Attested(program=program):
            return frozenset((login.registration.id, program.place))
        case _:
            return frozenset((login.registration.id,))


def widening(login: Login, name: ClientName) -> Widening:
    """What the person is asked: who it says it is beside what the system says it is, and what it would get."""
    registration = login.registration
    may = [_RIGHTS[right] for right in Right if right in login.rights]
    return Widening(
        title=f"Let {name} log in to {login.server}",
        sentence=_sentence(login),
        facts=(
            ("Calls itself", registration.claimed_name),
            ("The system says", _program(login)),
            *((("Its document", registration.id),) if registration.introduction is Introduction.DOCUMENT else ()),
            ("Answer goes to", _answer(login)),
            ("Server", login.server),
            *zip(("May", "And"), may, strict=False),
            ("Known here as", f"{name} (a client you let in before)" if login.known_as else name),
            *_evidence(login),
        ),
        warnings=_warnings(login),
        choices=tuple(f"{days} days" for days in LOGIN_DAYS),
    )


def _sentence(login: Login) -> str:
    what = "run tools of" if Right.CALL in login.rights else "look at"
    again = " again" if login.known_as else ""
    return f"A program asks{again} to {what} {login.server}. What it calls itself is its own word."


def _program(login: Login) -> str:
    """The program as the system reports it: the one that waits for the answer, else the one that registered."""
    match login.receiver:
        case Attested(pid=pid, program=program):
            return f"{program.place} (process {pid}) waits for the answer"
        case _ if login.registration.program:
            return f"{login.registration.program} registered it"
        case other:
            return f"nothing: {other.why}"


def _evidence(login: Login) -> tuple[tuple[str, str], ...]:
    """What else the system reports of that program; all of it is on record."""
    match login.receiver:
        case Attested(program=program, parents=parents):
            more = len(parents) - MAX_PARENTS
            shown = [*parents[:MAX_PARENTS], *([f"and {more} more before them"] if more > 0 else [])]
            return (
                ("Its file (SHA-256)", program.sha256),
                ("Started by", "\n".join(shown) or "the system does not say"),
            )
        case _:
            return ()


def _answer(login: Login) -> str:
    where = "this computer, " if is_loopback(login.redirect_uri) else ""
    return f"{where}{host_of(login.redirect_uri)}"


def _warnings(login: Login) -> tuple[str, ...]:
    registration, said = login.registration, []
    match login.receiver:
        case Attested(program=program):
            if registration.introduction is Introduction.REGISTERED and registration.program not in {"", program.place}:
                said.append(f"Another program registered it: {registration.program}.")
        case unknown if is_loopback(login.redirect_uri):
            said.append(f"The system does not say which program waits for the answer: {unknown.why}.")
    only_local = all(is_loopback(uri) for uri in registration.redirect_uris)
    if registration.introduction is Introduction.DOCUMENT and only_local:
        said.append(
            "Its document names addresses on this computer only, so any program here can say that it is this client."
        )
    if not is_loopback(login.redirect_uri):
        said.append(f"The answer leaves this computer, to {host_of(login.redirect_uri)}.")
    return tuple(said)
