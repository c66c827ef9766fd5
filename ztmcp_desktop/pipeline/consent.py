"""Stage 8: the person's yes, to exactly what will be sent."""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.caller import Attested
from ztmcp_desktop.domain.consent import Answer, Grant, Question, Scope, Verdict, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ClientName, Digest, GrantId, SecretName
from ztmcp_desktop.domain.proof import (
    Asking,
    Authenticated,
    Classified,
    Confined,
    Consented,
    ConsentedBy,
    Identified,
    Judged,
    MaskedArguments,
)
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.terms import consent_digest, placeholders, shown_params, unjudged
from ztmcp_desktop.pipeline.waiting import wait_for_answer
from ztmcp_desktop.ports import (
    ClientBook,
    Clock,
    ConsentDesk,
    GrantBook,
    Ledger,
    Lockdown,
    Redact,
    ServerBook,
    Ticket,
    Upstreams,
)
from ztmcp_desktop.settings import Settings

MAX_NAMED_CHARS = 200
MAX_SHARE = 4
"""One client may hold this fraction (a quarter) of all open questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentParts:
    """What the stage needs of the world."""

    desk: ConsentDesk
    grants: GrantBook
    servers: ServerBook
    upstreams: Upstreams
    clients: ClientBook
    ledger: Ledger
    lockdown: Lockdown
    digester: Digester
    clock: Clock
    redact: Redact
    settings: Settings


class Consent:
    """Lets a call through on a rule's permit, a remembered yes, or the person's answer; nothing else is a yes."""

    def __init__(self, parts: ConsentParts) -> None:
        self._parts = parts
        self._open: Counter[ClientName] = Counter()

    async def __call__(self, call: Call) -> Call:
        judged = call.proof(Judged)
        digest = consent_digest(call, self._parts.servers.get(call.server), self._parts.digester)
        # A program that nobody has said yes to inherits neither a rule's permit nor a remembered yes.
        strange = bool(call.proof(Authenticated).unlike)
        if judged.asking is Asking.UNASKED and not unjudged(call) and not strange:
            rule = judged.rules[0] if judged.rules else ""
            return call.proved(Consented(digest=digest, by=ConsentedBy.RULE, name=rule))
        if not strange and (grant := self._parts.grants.find(call.principal, digest)):
            return call.proved(Consented(digest=digest, by=ConsentedBy.GRANT, name=grant.id))
        client, limit = call.principal.client, self._parts.settings.max_open_questions
        if self._open.total() >= limit or self._open[client] >= max(1, limit // MAX_SHARE):
            raise Denial(Code.NO_ANSWER, "too many questions are open already", Retry.LATER)
        self._open[client] += 1
        try:
            return await self._ask(call, digest)
        finally:
            self._open -= Counter((client,))

    async def _ask(self, call: Call, digest: Digest) -> Call:
        began_s = self._parts.clock.monotonic()
        ticket = self._parts.desk.open(self._question(call, digest))
        answer = await self._wait(ticket)
        if answer.digest != digest:
            raise Denial(Code.GATEWAY_FAULT, "the answer was to another question than this one")
        match answer.verdict:
            case Verdict.ALLOW:
                if call.proof(Authenticated).unlike:
                    await self._accept(call)
                else:
                    await self._remember(call, answer)
                asked_ms = round((self._parts.clock.monotonic() - began_s) * 1000)
                return call.proved(Consented(digest=digest, by=ConsentedBy.PERSON, asked_ms=asked_ms))
            case _:
                raise Denial(Code.REFUSED_BY_PERSON, "the person at this computer said no")

    async def _wait(self, ticket: Ticket) -> Answer:
        settings = self._parts.settings
        try:
            return await wait_for_answer(
                ticket, self._parts.clock, patience_s=settings.patience_s, life_s=settings.question_life_s
            )
        except asyncio.CancelledError:
            locked = self._parts.lockdown.locked
            ticket.withdraw(Withdrawal.LOCKED_DOWN if locked else Withdrawal.CLIENT_GAVE_UP)
            raise
        except BaseException:
            # A question that nobody waits for any more must not stay where it can be answered.
            ticket.withdraw(Withdrawal.CORE_STOPPED)
            raise

    async def _accept(self, call: Call) -> None:
        """The program is known from now on; one that cannot be found out has had this one yes."""
        if not isinstance(call.caller, Attested):
            return
        program = call.caller.program
        masked = self._parts.redact({"subject": program.place})
        await self._parts.ledger.append(
            Draft(
                kind=EntryKind.CLIENT,
                call=call.id,
                client=call.principal.client,
                method="accept",
                subject=masked["subject"],
                body={"sha256": program.sha256, "script_sha256": program.script_sha256},
            )
        )
        self._parts.clients.accept(call.principal, call.caller)

    async def _remember(self, call: Call, answer: Answer) -> None:
        if answer.scope is not Scope.EXACT_SESSION:
            return
        grant = Grant(
            id=GrantId(secrets.token_hex(6)),
            client=call.principal.client,
            session=call.principal.session,
            server=call.server,
            subject=call.subject,
            digest=answer.digest,
            granted_at=self._parts.clock.now(),
        )
        masked = self._parts.redact({"method": call.method, "subject": call.subject})
        await self._parts.ledger.append(
            Draft(
                kind=EntryKind.GRANT,
                call=call.id,
                client=grant.client,
                server=grant.server,
                method=masked["method"],
                subject=masked["subject"],
                body={"grant": grant.id, "scope": answer.scope.value, "digest": grant.digest},
            )
        )
        self._parts.grants.add(grant)

    def _question(self, call: Call, digest: Digest) -> Question:
        server = self._parts.servers.get(call.server)
        classified = call.proof(Classified)
        starts_with, holds = self._held_secrets(call, server)
        return Question(
            id=call.id,
            asked_at=self._parts.clock.now(),
            client=call.principal.client,
            server=call.server,
            method=call.method,
            subject=call.subject,
            params=shown_params(call),
            risk=classified.risk,
            caller=call.caller,
            claimed=call.claimed,
            signs=classified.signs,
            because=_because(call),
            warnings=_warnings(call, server),
            sensitive=call.proof(MaskedArguments).kinds,
            claims=call.proof(Identified).pin.item,
            starts_with=starts_with,
            holds=holds,
            placeholders=placeholders(call.arguments),
            paths=call.proof(Confined).paths,
            scopes=(Scope.ONCE,) if call.proof(Authenticated).unlike else (Scope.ONCE, Scope.EXACT_SESSION),
            digest=digest,
            patience_s=self._parts.settings.patience_s,
        )

    def _held_secrets(self, call: Call, server: Server) -> tuple[tuple[SecretName, ...], tuple[SecretName, ...]]:
        """Secrets that the server is started with by this call, and those that it has already or gets each time."""
        match server.endpoint:
            case LocalCommand(secret_env=secret_env):
                names = tuple(name for _, name in secret_env)
                running = self._parts.upstreams.running_for(call)
                return ((), names) if running else (names, ())
            case remote:
                return ((), tuple(name for _, name in remote.secret_headers))


def _warnings(call: Call, server: Server) -> tuple[str, ...]:
    found = []
    if unlike := call.proof(Authenticated).unlike:
        found.append(_unlike(call, unlike))
    if not server.mask_results:
        found.append("Personal data in the answer is not masked for this server.")
    return tuple(found)


def _unlike(call: Call, known: str) -> str:
    match call.caller:
        case Attested(program=program) if program.place == known:
            return f"Another version of the program than before uses the token of {call.principal.client}: {known}"
        case Attested(program=program):
            return (
                f"Another program than before uses the token of {call.principal.client}: {program.place}. "
                f"Before it was {known}"
            )
        case _:
            return f"Which program uses the token of {call.principal.client} is not known now. Before it was {known}"


def _because(call: Call) -> tuple[str, ...]:
    """Why it is asked; what a rule lets pass unasked is only what the rule could see."""
    unseen = unjudged(call)
    named = ", ".join(unseen)[:MAX_NAMED_CHARS]
    more = (f"No rule looks into these parts of it: {named}.",) if unseen else ()
    return (*call.proof(Judged).because, *more)
