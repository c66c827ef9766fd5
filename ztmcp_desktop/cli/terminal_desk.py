"""Asks the demo's questions in the terminal. Not for the gateway: a terminal has no window of its own."""

import asyncio
import sys
import threading
from collections import deque

from ztmcp_desktop.domain.consent import Answer, DeskEvent, Gone, Proposal, Question, Scope, Shown, Verdict, Withdrawal
from ztmcp_desktop.domain.json import canonical
from ztmcp_desktop.scan.hidden import visible

MAX_SHOWN = 2000
MAX_LINE = 1000


class TerminalDesk:
    """One question at a time on standard error; the answer is a line on standard input, and only `y` is a yes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[_Ticket] = deque()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._wanted = threading.Semaphore(0)
        self._reading = False
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    def open(self, question: Question | Proposal) -> "_Ticket":
        ticket = _Ticket(question)
        self._waiting.append(ticket)
        if not self._reading:
            self._reading = True
            threading.Thread(target=self._read, name="terminal", daemon=True).start()
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._ask_all())
        return ticket

    def _read(self) -> None:
        """The thread's root: hands the loop a line of standard input for each that it wants; the last is empty."""
        line = "\n"
        while line:
            self._wanted.acquire()
            try:
                line = sys.stdin.readline(MAX_LINE)
            except (OSError, ValueError, AttributeError):
                line = ""  # standard input is closed or was never there: nobody can answer
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)

    async def _ask_all(self) -> None:
        while self._waiting:
            ticket = self._waiting.popleft()
            if ticket.over:
                continue
            ticket.happen(Shown())
            print(words(ticket.question), file=sys.stderr, flush=True)
            line = await self._next_line()
            if line == "":
                self._ended = True
                print("  nobody can be asked, standard input is closed: no", file=sys.stderr, flush=True)
                # What is withdrawn after this was answered already.
                ticket.over = True
                ticket.happen(Gone())
                continue
            verdict = Verdict.ALLOW if line.strip().lower() == "y" else Verdict.DENY
            ticket.happen(Answer(verdict=verdict, scope=Scope.ONCE, digest=ticket.question.digest))

    async def _next_line(self) -> str:
        """The next line that is typed, empty once there can be none."""
        if self._ended:
            return ""
        self._wanted.release()
        return await self._lines.get()


class _Ticket:
    def __init__(self, question: Question | Proposal) -> None:
        self.question = question
        self.over = False
        self._events: asyncio.Queue[DeskEvent] = asyncio.Queue()

    def happen(self, event: DeskEvent) -> None:
        self._events.put_nowait(event)

    async def event(self) -> DeskEvent:
        return await self._events.get()

    def withdraw(self, why: Withdrawal) -> None:
        if not self.over:
            print(f"  this question is over: {why.value}", file=sys.stderr, flush=True)
        self.over = True


def tell_page(page: str) -> None:
    """A page that the person may open in a browser, told and not opened."""
    print(f"  open this page in a browser on this machine: {visible(page)}", file=sys.stderr, flush=True)


def words(question: Question | Proposal) -> str:
    """The question as lines for a terminal; all foreign text made visible."""
    if isinstance(question, Proposal):
        facts = [f"  {label}: {visible(value)}" for label, value in question.facts]
        claims = [f"  the server says of {visible(label)}: {visible(value)}" for label, value in question.claims]
        warnings = [f"  ! {visible(warning)}" for warning in question.warnings]
        reach = [f"  allow it for: {question.choices[0]}"] if question.choices else []
        said = [f"\n{visible(question.title)}", visible(question.sentence), *facts, *claims, *warnings, *reach]
        return "\n".join([*said, "  Allow? [y/N] "])
    sent = visible(canonical(question.params).decode())
    cut = f" … {len(sent) - MAX_SHOWN} characters more" if len(sent) > MAX_SHOWN else ""
    wish = f"{question.client} asks for {visible(question.subject)} of {question.server}"
    return "\n".join(
        [
            f"\n{question.risk.value.upper()}  {wish}",
            f"  exactly this will be sent: {sent[:MAX_SHOWN]}{cut}",
            *(f"  because: {reason}" for reason in question.because),
            *(f"  {count} of kind {kind} will leave" for kind, count in question.sensitive),
            "  Allow? [y/N] ",
        ]
    )
