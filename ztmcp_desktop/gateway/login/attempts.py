"""Logins on their way: from the person's yes to the tokens, with the browser in between."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.gateway.login.authorization import Request
from ztmcp_desktop.gateway.login.book import Book
from ztmcp_desktop.gateway.login.callback import Callback
from ztmcp_desktop.gateway.login.held import Flow, Held, How, Registration
from ztmcp_desktop.gateway.login.parts import LoginParts
from ztmcp_desktop.gateway.login.plan import Plan
from ztmcp_desktop.gateway.login.registration import register
from ztmcp_desktop.gateway.login.token_endpoint import Refused, TokenEndpoint
from ztmcp_desktop.gateway.outbound_guard import own_reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A login that has begun. `page` is for the person's browser; empty where none is needed."""

    page: str
    clients: tuple[ClientName, ...]
    done: asyncio.Task[None] = field(repr=False)

    async def finished(self) -> None:
        """Return when the login is there. Whoever gives up waiting does not end it.

        Raises:
            Denial: it failed, was refused, or was given up.
        """
        try:
            await asyncio.shield(self.done)
        except asyncio.CancelledError:
            if self.done.cancelled():
                raise Denial(Code.SERVER_UNAVAILABLE, "the login was given up", Retry.LATER) from None
            raise


class Attempts:
    """At most one login on its way for each server."""

    def __init__(self, parts: LoginParts, book: Book, endpoint: TokenEndpoint) -> None:
        self._parts = parts
        self._book = book
        self._endpoint = endpoint
        self._latest: dict[ServerName, Pending] = {}

    async def begin(self, plan: Plan, clients: tuple[ClientName, ...]) -> Pending:
        """Begin the login that the person agreed to; an earlier one that still waits ends.

        Raises:
            Denial: it cannot begin (`locked-down`, `server-unavailable`).
        """
        self._refuse_locked()
        await self.give_up(plan.server)
        page: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(plan, clients, page))
        task.add_done_callback(_seen)
        # Known before it is waited for, so that it can be given up at any time.
        begun = self._latest[plan.server] = Pending(page="", clients=clients, done=task)
        waiting: set[asyncio.Future[Any]] = {page, task}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not page.done():
            await begun.finished()
            return begun
        pending = replace(begun, page=page.result())
        if self._latest.get(plan.server) is begun:
            self._latest[plan.server] = pending
        return pending

    def latest(self, server: ServerName) -> Pending | None:
        """The login at this server that was begun last, over or not."""
        return self._latest.get(server)

    async def give_up(self, server: ServerName) -> None:
        """End a login that waits; harmless if there is none."""
        pending = self._latest.pop(server, None)
        if pending is not None:
            pending.done.cancel()
            await asyncio.wait({pending.done})

    def forget_client(self, client: ClientName) -> None:
        """End the logins that wait for this client, so that whoever gets its name next has nobody's consent."""
        for pending in self._latest.values():
            if client in pending.clients:
                pending.done.cancel()

    async def close(self) -> None:
        """End every login that waits."""
        for server in list(self._latest):
            await self.give_up(server)

    def _refuse_locked(self) -> None:
        if self._parts.lockdown.locked:
            raise Denial(Code.LOCKED_DOWN, "everything is locked, and so is each login")

    async def _run(self, plan: Plan, clients: tuple[ClientName, ...], page: asyncio.Future[str]) -> None:
        said: JsonObject = {"issuer": plan.issuer.identifier, "scopes": list(plan.scopes), "flow": plan.flow.value}
        try:
            if plan.flow is Flow.CLIENT:
                held = _held(plan, plan.registration)
                held = replace(held, tokens=await self._endpoint.get(held))
            else:
                held = await self._with_browser(plan, page)
            self._refuse_locked()
            await self._parts.record("login", plan.server, clients, said)
            await self._book.keep(plan.server, held)
            self._book.let(plan.server, clients, held.allowed())
        except Denial as denial:
            if isinstance(denial, Refused) and denial.unknown:
                await self._book.forget(plan.server)
            await self._parts.record("login", plan.server, clients, said, denial)
            raise

    async def _with_browser(self, plan: Plan, page: asyncio.Future[str]) -> Held:
        reach = own_reach(plan.url)
        registration, callback = _bound(plan.registration)
        async with callback:
            if registration is None:
                registration = await register(self._parts.http, plan.issuer, reach, callback.port)
            request = Request.make(
                issuer=plan.issuer,
                reach=reach,
                client_id=registration.client_id,
                redirect_uri=callback.uri,
                resource=plan.resource,
                scopes=plan.scopes,
            )
            page.set_result(request.page)
            code = request.code(await callback.answer())
            held = _held(plan, registration)
            return replace(held, tokens=await self._endpoint.redeem(held, code, request.verifier, request.redirect_uri))


def _seen(task: asyncio.Task[None]) -> None:
    # Whoever waited was told; without anybody it stands in the ledger.
    if not task.cancelled():
        task.exception()


def _bound(known: Registration | None) -> tuple[Registration | None, Callback]:
    """Where the browser comes back to. Many authorization servers take just the port that they were told before."""
    if known is None or known.how is not How.DYNAMIC:
        return known, Callback.bind(None)
    try:
        return known, Callback.bind(known.port)
    except OSError:
        return None, Callback.bind(None)


def _held(plan: Plan, registration: Registration | None) -> Held:
    if registration is None or plan.issuer.token is None:
        raise Denial(Code.GATEWAY_FAULT, "a login began without a registration")
    return Held(
        url=plan.url,
        resource=plan.resource,
        issuer=plan.issuer.identifier,
        token_endpoint=plan.issuer.token,
        flow=plan.flow,
        registration=registration,
        scopes=plan.scopes,
    )
