"""Honest stand-ins for the ports: they keep the port's promises, in memory. None can be shipped."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.client import ALL_RIGHTS, Principal
from ztmcp_desktop.domain.consent import Answer, DeskEvent, Grant, Proposal, Question, Scope, Shown, Verdict, Withdrawal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft
from ztmcp_desktop.domain.names import CallId, ClientName, Digest, GrantId, ServerName, SessionId, TokenId
from ztmcp_desktop.domain.offer import Era, ItemKind, Pin
from ztmcp_desktop.domain.policy import Decision, PolicyRequest
from ztmcp_desktop.domain.proof import Authenticated, Identified, Proof
from ztmcp_desktop.domain.sealed import Sealed

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_ids = count(1)


class FakeClock:
    """Stands still until `advance`; whoever sleeps wakes then."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        self.seconds += seconds
        for due, future in self._sleepers:
            if due <= self.seconds and not future.done():
                future.set_result(None)
        self._sleepers = [(due, future) for due, future in self._sleepers if not future.done()]
        for _ in range(20):
            await asyncio.sleep(0)


class SilentChannel:
    """Keeps what was sent back to the caller."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, JsonObject | None]] = []

    async def notify(self, method: str, params: JsonObject | None) -> None:
        self.seen.append((method, params))

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        raise Denial(Code.SERVER_UNAVAILABLE, "this client answers nothing")


class FakeLedger:
    """Keeps rows in a list; `broken` makes each append fail."""

    def __init__(self) -> None:
        self.rows: list[Draft] = []
        self.rejected: list[tuple[str, Draft]] = []
        self.broken = False

    async def append(self, draft: Draft) -> int:
        if self.broken:
            raise Denial(Code.GATEWAY_FAULT, "the ledger cannot be written")
        self.rows.append(draft)
        return len(self.rows)

    async def reject(self, draft: Draft, cause: str) -> None:
        self.rejected.append((cause, draft))


class FakeVault:
    """A keychain in memory; `locked` makes it refuse."""

    def __init__(self, **values: str) -> None:
        self.values = dict(values)
        self.locked = False

    def _check(self) -> None:
        if self.locked:
            raise Denial(Code.SECRET_MISSING, "the keychain is locked")

    async def read(self, name: str) -> Sealed[str]:
        self._check()
        if name not in self.values:
            raise Denial(Code.SECRET_MISSING, f"there is no secret {name}")
        return Sealed(self.values[name])

    async def write(self, name: str, value: Sealed[str]) -> None:
        self._check()
        self.values[name] = value.open()

    async def remove(self, name: str) -> None:
        self._check()
        self.values.pop(name, None)


class FakeStateStore:
    """Records in memory."""

    def __init__(self) -> None:
        self.records: dict[str, JsonObject] = {}

    def load(self, name: str) -> JsonObject | None:
        return self.records.get(name)

    def save(self, name: str, record: JsonObject) -> None:
        self.records[name] = record


class FakeUpstreams:
    """Answers each call with `reply` and remembers what was sent."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply or Reply(body={"content": [{"type": "text", "text": "done"}]})
        self.seen: list[Call] = []
        self.up: set[tuple[str, str]] = set()
        self.announced: list[ServerName] = []

    async def send(self, call: Call) -> Reply:
        self.seen.append(call)
        return self.reply

    async def relisted(self, server: ServerName) -> None:
        self.announced.append(server)

    def running(self, client: ClientName, server: ServerName) -> bool:
        return (client, server) in self.up

    def running_for(self, call: Call) -> bool:
        return self.running(call.principal.client, call.server)


class FakeTicket:
    """A question whose events the test plays."""

    def __init__(self, question: Question | Proposal) -> None:
        self.question = question
        self.withdrawn: Withdrawal | None = None
        self._events: deque[DeskEvent] = deque()
        self._wake = asyncio.Event()

    def play(self, event: DeskEvent) -> None:
        self._events.append(event)
        self._wake.set()

    async def event(self) -> DeskEvent:
        while not self._events:
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def withdraw(self, why: Withdrawal) -> None:
        self.withdrawn = why


class FakeDesk:
    """Answers at once with `verdict` if one is set; else the test plays the ticket's events."""

    def __init__(self, verdict: Verdict | None = None, scope: Scope = Scope.ONCE) -> None:
        self.verdict = verdict
        self.scope = scope
        self.choice = 0
        self.present = True
        self.tickets: list[FakeTicket] = []

    def open(self, question: Question | Proposal) -> FakeTicket:
        if not self.present:
            raise Denial(Code.NOBODY_THERE, "nobody is there to be asked")
        ticket = FakeTicket(question)
        self.tickets.append(ticket)
        if self.verdict is not None:
            ticket.play(Shown())
            ticket.play(Answer(verdict=self.verdict, scope=self.scope, digest=question.digest, choice=self.choice))
        return ticket


class FakePolicy:
    """Gives the decision that it was made with, and remembers what it was asked."""

    def __init__(self, decision: Decision | None = None) -> None:
        self.decision = decision or Decision(permitted=True, unasked=False, forbidden=False, rules=())
        self.asked: list[PolicyRequest] = []

    def decide(self, request: PolicyRequest) -> Decision:
        self.asked.append(request)
        return self.decision


class FakeGrants:
    """Grants in a list."""

    def __init__(self) -> None:
        self.grants: list[Grant] = []

    def find(self, principal: Principal, digest: Digest) -> Grant | None:
        for grant in self.grants:
            if (grant.client, grant.session, grant.digest) == (principal.client, principal.session, digest):
                return grant
        return None

    def add(self, grant: Grant) -> None:
        self.grants.append(grant)

    def all(self) -> tuple[Grant, ...]:
        return tuple(self.grants)

    def revoke(self, grant: GrantId) -> bool:
        kept = [g for g in self.grants if g.id != grant]
        found = len(kept) < len(self.grants)
        self.grants = kept
        return found

    def end_session(self, session: SessionId) -> None:
        self.grants = [g for g in self.grants if g.session != session]


PRINCIPAL = Principal(client=ClientName("tests"), token=TokenId("t1"), session=SessionId("s1"), rights=ALL_RIGHTS)


def make_digester() -> Digester:
    return Digester(Sealed(b"k" * 32))


def make_call(
    name: str = "read_file",
    arguments: JsonObject | None = None,
    *,
    method: str = "tools/call",
    server: str = "files",
    params: JsonObject | None = None,
    principal: Principal = PRINCIPAL,
    proofs: tuple[Proof, ...] = (),
) -> Call:
    if params is None:
        params = {"name": name, "arguments": arguments or {}}
    return Call(
        id=CallId(f"c{next(_ids)}"),
        at=START,
        principal=principal,
        server=ServerName(server),
        method=method,
        params=params,
        era=Era.LEGACY,
        channel=SilentChannel(),
        proofs=proofs,
    )


def make_pin(item: JsonObject | None = None, *, server: str = "files", kind: ItemKind | None = ItemKind.TOOL) -> Pin:
    item = item or {"name": "read_file", "inputSchema": {"type": "object"}}
    name = str(item.get(kind.key if kind else "name", ""))
    return Pin(server=ServerName(server), kind=kind, name=name, digest=make_digester().of("pin", item), item=item)


def identified(call: Call, item: JsonObject | None = None) -> Call:
    """The call as it leaves the stages authenticate and identify."""
    pin = make_pin(item or {"name": call.subject, "inputSchema": {"type": "object"}}, server=call.server)
    call = call.proved(Authenticated(client=call.principal.client, server=call.server))
    return call.proved(Identified(server=call.server, subject=call.subject, pin=pin))


def with_reply(call: Call, body: JsonObject, *, is_error: bool = False) -> Call:
    return replace(call, reply=Reply(body=body, is_error=is_error))


Listener = Callable[[int], None]


async def turns_meanwhile(work: Awaitable[object]) -> int:
    """How many turns the event loop takes while `work` is done; one that is blocked takes next to none."""
    done, turns = asyncio.ensure_future(work), 0
    while not done.done():
        await asyncio.sleep(0)
        turns += 1
    await done
    return turns
