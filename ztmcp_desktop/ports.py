"""The seams of the program: what one room may ask of another, without knowing which room answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol

from ztmcp_desktop.domain.call import Call, Reply, Subscriber
from ztmcp_desktop.domain.caller import Caller, Program
from ztmcp_desktop.domain.client import ALL_RIGHTS, Client, LetIn, Login, Principal, Registration, Rights
from ztmcp_desktop.domain.consent import DeskEvent, Grant, Proposal, Question, Widening, Withdrawal
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, Entry, Filters, TimelineItem, Verification
from ztmcp_desktop.domain.names import ClientName, Digest, GrantId, ServerName, SessionId
from ztmcp_desktop.domain.offer import Change, ItemKind, Offer, Pin
from ztmcp_desktop.domain.policy import Decision, PolicyRequest
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import Launch, SandboxReport
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import Server


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only go forward, while the machine sleeps too."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many monotonic seconds."""


class Stage(Protocol):
    """One check in the pipeline."""

    async def __call__(self, call: Call) -> Call:
        """The next call, with this stage's proof.

        Raises:
            Denial: the call must not go on.
        """


class Ticket(Protocol):
    """One question on its way through the desk. The clocks are with whoever holds the ticket."""

    async def event(self) -> DeskEvent:
        """The next thing that happened: shown, hidden, answered, or nobody there any more."""

    def withdraw(self, why: Withdrawal) -> None:
        """The question is over; the dialog says why and goes away. Harmless when it is over already."""


class ConsentDesk(Protocol):
    """Where questions are put to the person."""

    def open(self, question: Question | Proposal) -> Ticket:
        """Put a question in the queue; does not wait.

        Raises:
            Denial: nobody is there (`nobody-there`).
        """


class PersonsWord(Protocol):
    """The person's yes to what widens what somebody may do."""

    async def agree(self, widening: Widening) -> int:
        """Return when the person has said yes; gives the place of what they chose of the choices.

        Raises:
            Denial: they said no, did not answer, or nobody is there.
        """


class PolicyBook(Protocol):
    """The rules."""

    def decide(self, request: PolicyRequest) -> Decision:
        """What the rules say. Both questions are asked (contract, Rules); an error in a rule counts as a no.

        Raises:
            Denial: the rules cannot be trusted or read (`refused-by-rule`).
        """


class GrantBook(Protocol):
    """Remembered consents."""

    def find(self, principal: Principal, digest: Digest) -> Grant | None:
        """The live grant for exactly this, of this client and session; its use is counted."""

    def add(self, grant: Grant) -> None:
        """Remember it until its session ends or it is revoked."""

    def all(self) -> tuple[Grant, ...]:
        """Every live grant, oldest first."""

    def revoke(self, grant: GrantId) -> bool:
        """Forget it; False if there was none."""

    def end_session(self, session: SessionId) -> None:
        """Forget all grants of a session that is over."""


class Vault(Protocol):
    """The keychain of the operating system."""

    async def read(self, name: str) -> Sealed[str]:
        """The value.

        Raises:
            Denial: there is none, or the keychain does not answer (`secret-missing`); the reason says which.
        """

    async def write(self, name: str, value: Sealed[str]) -> None:
        """Store it, and read it back to be sure.

        Raises:
            Denial: as `read`.
        """

    async def remove(self, name: str) -> None:
        """Forget it; harmless when there is none. Raises as `read`."""


class StateStore(Protocol):
    """Our own records on disk, each under an HMAC with a keychain key, so that a forged one refuses."""

    def load(self, name: str) -> JsonObject | None:
        """The record, None if it was never written.

        Raises:
            Denial: it is there but was not written by us, or cannot be read (`gateway-fault`).
        """

    def save(self, name: str, record: JsonObject) -> None:
        """Replace the record at once and durably."""


class Ledger(Protocol):
    """The append-only record."""

    def append(self, draft: Draft) -> Awaitable[int]:
        """Write a row, awaited or not; gives its `seq` when it is durable and the head is signed.

        Raises:
            Denial: it could not be written (`gateway-fault`); then nothing may be sent.
        """

    async def reject(self, draft: Draft, cause: str) -> None:
        """Record what was refused before the gate: one row a cause and second, with a count. Never raises.

        `cause` is a short text of ours, never of the caller's; causes beyond a bound count as one.
        """


class Timeline(Protocol):
    """How a person reads the ledger. Everything may be called from the core's loop; nothing blocks it."""

    async def page(self, filters: Filters, before: int | None, limit: int) -> tuple[TimelineItem, ...]:
        """The newest items with `seq` below `before` (None: from the top), newest first."""

    async def entries(self, call: str) -> tuple[Entry, ...]:
        """All rows of one call, or the one row whose `seq` is this number, in order."""

    async def verify(self) -> Verification:
        """Check the whole chain, the signed head and the copy outside."""

    def export(self, filters: Filters, form: str) -> AsyncIterator[bytes]:
        """Lines of `jsonl` or `csv`; formulas and control characters are made harmless in CSV."""

    def on_append(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener(seq)` on the core's loop after each commit; the result ends that."""


class ServerBook(Protocol):
    """The configured servers."""

    def get(self, name: ServerName) -> Server:
        """The server.

        Raises:
            Denial: there is none of that name (`not-permitted`).
        """

    def all(self) -> tuple[Server, ...]:
        """Every configured server, by name."""


class ClientBook(Protocol):
    """The known clients and their tokens."""

    def authenticate(self, untrusted_token: str, server: ServerName) -> Principal:
        """Who holds this token. The session begins or goes on.

        Raises:
            Denial: no live token of a known client for this server (`unauthenticated`).
        """

    def admit(self, program: Program, server: ServerName) -> Principal:
        """Who comes over the bridge, known by the place of the program that started it. The session begins or goes on.

        Raises:
            Denial: the person let no such program call this server over the bridge (`unauthenticated`).
        """

    def bridged(self, program: Program) -> Client | None:
        """The client that this program is over the bridge, expired or not."""

    def widen(self, name: ClientName, servers: tuple[ServerName, ...]) -> None:
        """Let a client call these servers too, until its token ends.

        Raises:
            Denial: there is none of that name (`not-permitted`).
        """

    def confirm(self, principal: Principal, server: ServerName) -> None:
        """Check again that the principal's token is alive and for this server. Raises as `authenticate`."""

    def meet(self, principal: Principal, caller: Caller) -> Program | None:
        """Note who calls with this token; the program that it was known with where this is another one.

        None means that nothing speaks against it: the same program as before, or the first that is known. A caller
        that cannot be found out is another one, where one is known.
        """

    def accept(self, principal: Principal, caller: Caller) -> None:
        """The person has seen that another program uses the token, and said yes: it counts as known from now on."""

    def all(self) -> tuple[Client, ...]:
        """Every client, by name, expired ones too."""

    def add(
        self,
        name: ClientName,
        servers: tuple[ServerName, ...],
        life_s: float,
        rights: Rights = ALL_RIGHTS,
        bridge: str = "",
    ) -> Sealed[str]:
        """Make a client and give its token, which is never to be had again.

        `bridge` is the place of a program that comes over the bridge; then the token opens nothing.

        Raises:
            Denial: the name is taken or no name, or the program is a client already (`not-permitted`).
        """

    def let_in(self, name: ClientName, registration: Registration, server: ServerName, rights: Rights) -> Client:
        """Let a client log in to `server` with `rights`, besides what it may already; gives it as it is then.

        Raises:
            Denial: the name is no name, or another client's (`not-permitted`).
        """

    def registered(self, registration_id: str) -> Client | None:
        """The client that was let in under this OAuth client id."""

    def revoke(self, name: ClientName) -> bool:
        """End the client, its session and its open streams; False if there was none."""

    def on_revoke(self, listener: Callable[[ClientName, SessionId | None], None]) -> None:
        """Call `listener` whenever a client is revoked or a session ends, before `revoke` returns."""


class Catalogue(Protocol):
    """What the person approved of each server, and whether the server still offers just that."""

    def offer(self, server: ServerName) -> Offer:
        """The approved offer, to answer lists from.

        Raises:
            Denial: not approved (`not-permitted`), or its command, limits or instructions are no longer the
                approved ones (`changed-since-approval`).
        """

    def identify(self, server: ServerName, kind: ItemKind | None, subject: str) -> Pin:
        """The pin of what is asked for. A resource that is not listed has the server's own pin.

        Raises:
            Denial: as `offer`; unknown (`not-permitted`); changed (`changed-since-approval`).
        """

    def observe(self, server: ServerName, offer: Offer) -> tuple[Change, ...]:
        """Compare what a running server lists now with the approval, and remember what differs."""

    def runtime(self, server: ServerName) -> Runtime:
        """How the approved local command is really run. Raises as `offer`."""

    def approve_command(self, server: Server, runtime: Runtime | None) -> None:
        """Record the first yes: the terms as they are now, and the resolved runtime of a local server."""

    def approve_offer(self, server: ServerName, offer: Offer) -> None:
        """Record the second yes: pin all that is offered; earlier pins and remembered changes are gone."""

    def changes(self, server: ServerName) -> tuple[Change, ...]:
        """What was seen to differ since the approval."""

    def approval(self, server: ServerName) -> str:
        """One of `proposed`, `command-approved`, `approved`, `changed`."""

    def forget(self, server: ServerName) -> None:
        """Drop the approval of a removed server."""


class Stream(Subscriber, Protocol):
    """What a client of 2026-07-28 hears of one server, until it ends."""

    offered: frozenset[str]

    def agree(self, flags: frozenset[str]) -> None:
        """The list changes that it hears from now on, by the members of a filter."""

    async def next(self) -> tuple[str, JsonObject]:
        """The next notification, checked.

        Raises:
            Denial: the stream is over.
        """

    def close(self) -> None:
        """Hear nothing any more, and give up what was subscribed to for it."""


class Upstreams(Protocol):
    """The servers behind us, running or not."""

    async def send(self, call: Call) -> Reply:
        """Start or reuse the connection of this client to this server, send `call.outbound`, give the reply.

        What the server says meanwhile goes to `call.channel`. Cancelling this cancels the request at the server.

        Raises:
            Denial: `server-unavailable`, `too-slow`, `too-large`, `changed-since-approval`.
        """

    async def notify(self, principal: Principal, server: ServerName, method: str, params: JsonObject | None) -> None:
        """Pass a client's notification on if there is a connection; never starts one."""

    def listen(self, call: Call) -> Stream:
        """A stream for the client of `call`, on which nothing is said until it is agreed and subscribed to.

        Raises:
            Denial: the client has too many (`server-unavailable`); as `Catalogue.offer`.
        """

    async def relisted(self, server: ServerName) -> None:
        """Tell the clients that listen that the lists of this server, as they see them, have changed.

        Raises:
            Denial: as `Catalogue.offer`.
        """

    def running(self, client: ClientName, server: ServerName) -> bool:
        """Whether a process or connection of this client to this server is up."""

    def running_for(self, call: Call) -> bool:
        """Whether the very conversation that `call` will go to is up, so that `env` is not needed again."""

    async def probe(
        self, server: Server, runtime: Runtime | None, headers: Sealed[Mapping[str, str]] | None = None
    ) -> Offer:
        """Start the server without secrets, with every client capability declared, and list all it offers.

        `headers` are for a remote server that answers nobody without them: it goes only where the command's approval
        said, so its own secret headers may be given once that stands.

        Raises:
            Denial: as `send`.
        """

    async def stop(self, server: ServerName | None = None, client: ClientName | None = None) -> None:
        """End the connections and process trees that match; None matches all. Nothing is left after 3 s."""

    def log(self, server: ServerName) -> tuple[str, ...]:
        """The last lines that the server's processes wrote to stderr, oldest first, control characters visible."""


class Gate(Protocol):
    """The one door that every request goes through, whichever method and era."""

    async def run(self, call: Call) -> Reply:
        """All stages of the call's action; recorded before and after. Cancelling it withdraws the call.

        Raises:
            Denial: refused or failed; it is in the ledger already.
        """

    async def notice(
        self, principal: Principal, server: ServerName, method: str, params: JsonObject | None, caller: Caller
    ) -> None:
        """A client's notification: checked, recorded, passed on if the server runs. Refusals are silent."""

    async def tell(self, call: Call, plain: frozenset[str]) -> JsonObject | None:
        """As `ReverseGate.tell_client`."""


class Lists(Protocol):
    """Answers from the catalogue what needs no server."""

    def answer(self, call: Call) -> Reply:
        """The reply to `initialize`, `server/discover`, `ping`, `logging/setLevel` and the lists of `call.server`.

        Raises:
            Denial: as `Catalogue.offer`.
        """


class ControlPlane(Protocol):
    """What shows and changes the gateway, for the window, the command line and the control socket alike."""

    async def ask(self, verb: str, arguments: JsonObject) -> JsonObject:
        """Do `verb` (`server.list`, `client.add`, `lock` …; the table is in `control/plane.py`) and give its result.

        Raises:
            Denial: it failed or was refused; the reason says why and what to do.
        """


class ReverseGate(Protocol):
    """Where requests that servers make of clients go through: the pipeline with the direction turned round."""

    async def ask_client(self, call: Call) -> Reply:
        """Judge, record and pass on a server's request of the client; refusals are error replies."""

    async def tell_client(self, call: Call, plain: frozenset[str]) -> JsonObject | None:
        """A server's notification outside of calls as the client may have it, recorded; None where it must not.

        The members of its parameters in `plain` are known to the client, and are not masked.
        """


class ChildProcess(Protocol):
    """A confined process and its pipes."""

    pid: int
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    async def wait(self) -> int:
        """The exit status, negative for a signal."""

    async def kill(self) -> None:
        """End the whole tree; returns when nothing of it is left, within 3 s."""


class Sandbox(Protocol):
    """Confines local servers."""

    def report(self) -> SandboxReport:
        """What this machine can enforce; cheap after the first time."""

    async def start(self, launch: Launch) -> ChildProcess:
        """A confined process.

        Raises:
            Denial: it cannot be confined, or does not start (`server-unavailable`); the reason says how to mend it.
        """


class RuntimeResolver(Protocol):
    """Finds what a command needs of this machine."""

    async def resolve(self, server: Server, install: bool) -> Runtime:
        """The runtime of a local command; with `install`, packages of npx, uvx and pipx run are fetched first.

        Raises:
            Denial: it cannot be resolved (`server-unavailable`) or lies where no limit may reach (`outside-limits`).
        """


class Pairing(Protocol):
    """The time in which programs may register themselves as clients."""

    def open(self, seconds: float) -> None:
        """Let them, for this long, an hour at most."""

    def close(self) -> None:
        """Let them no longer."""

    @property
    def left_s(self) -> float:
        """How long they still may; 0 where they may not."""

    def take(self) -> bool:
        """Use up one of the few registrations that an opening is good for; False where none may be made."""


class Doorkeeper(Protocol):
    """Where the person is asked whether a client may log in."""

    async def let_in(self, login: Login) -> LetIn:
        """The client as it is known after the person's yes, and for how long.

        Raises:
            Denial: they said no, did not answer, nobody is there, or everything is locked.
        """


class Lockdown(Protocol):
    """One gesture that stops everything; survives a restart."""

    @property
    def locked(self) -> bool:
        """Whether nothing may pass."""


Redact = Callable[[JsonObject], JsonObject]
"""A copy in which every sensitive value is replaced for good; used for all that is written to the ledger."""
