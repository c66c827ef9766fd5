"""The gateway's logins at remote servers: got with the person's word, renewed in time, each sent to one server only."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import Server
from ztmcp_desktop.gateway.challenge import FORBIDDEN, Challenge, Wish
from ztmcp_desktop.gateway.login.attempts import Attempts, Pending
from ztmcp_desktop.gateway.login.book import Book
from ztmcp_desktop.gateway.login.held import Flow, Held, Tokens
from ztmcp_desktop.gateway.login.parts import LoginParts, address_of
from ztmcp_desktop.gateway.login.plan import Plan, ask_for_wish, make_plan
from ztmcp_desktop.gateway.login.registration import Choice
from ztmcp_desktop.gateway.login.token_endpoint import Refused, TokenEndpoint
from ztmcp_desktop.gateway.login.words import login_words, use_words

REFUSED_FOR_S = 600.0
MAX_REMEMBERED = 256


class Logins:
    """One login for each server; each client uses it only after the person said so for that client."""

    def __init__(self, parts: LoginParts) -> None:
        self._parts = parts
        self._book = Book(parts.state, parts.vault)
        self._endpoint = TokenEndpoint(http=parts.http, vault=parts.vault, clock=parts.clock)
        self._locks: dict[ServerName, asyncio.Lock] = {}
        self._wishes: dict[ServerName, Wish] = {}
        self.attempts = Attempts(parts, self._book, self._endpoint)
        self._refused: dict[tuple[ClientName, ServerName], float] = {}

    # What each request needs.

    def current(self, server: Server, client: ClientName | None) -> Mapping[str, str]:
        """The header that this client's requests to this server carry now; none without the person's word for both."""
        token = self.token(server)
        return {"Authorization": f"Bearer {token.open()}"} if token and self._may_use(server, client) else {}

    @staticmethod
    def takes(server: Server) -> bool:
        """Whether the gateway would log in at this server at all."""
        return bool(address_of(server))

    def token(self, server: Server) -> Sealed[str] | None:
        """The token for this very address of the server, if there is one."""
        url = address_of(server)
        held = self._book.now(server.name, url) if url and self._book.entry(server.name, url) else None
        return held.tokens.access if held is not None and held.tokens is not None else None

    def _may_use(self, server: Server, client: ClientName | None) -> bool:
        if client is None:
            return True
        entry, held = self._book.entry(server.name, address_of(server)), self._book.now(server.name, address_of(server))
        return (
            entry is not None
            and held is not None
            and client in entry.clients
            and set(held.allowed()) <= set(entry.clients[client])
        )

    async def ready(self, server: Server, client: ClientName | None) -> None:
        """See to it that the token is fresh, and that this client may use it; nothing where there is no login.

        Raises:
            Denial: the person says no, or is not there; the keychain does not answer.
        """
        url = address_of(server)
        if not url or self._book.entry(server.name, url) is None:
            return
        held = self._book.now(server.name, url)
        now = self._parts.clock.now()
        if held is not None and held.tokens and not held.tokens.old(now) and self._may_use(server, client):
            return
        async with self._lock(server.name):
            held = await self._book.held(server.name, url)
            if held is None or held.tokens is None:
                return
            if client is not None and not self._may_use(server, client):
                await self._agree_use(held, server.name, client)
            if held.tokens.old(self._parts.clock.now()):
                await self._renew_in_time(server.name, held, held.tokens)

    async def _agree_use(self, held: Held, server: ServerName, client: ClientName) -> None:
        self._still_refused(client, server)
        try:
            await self._parts.word.agree(use_words(held, server, client))
        except Denial as denial:
            await self._was_refused(denial, server, client)
        self._book.let(server, [client], held.allowed())
        await self._parts.record(
            "login-use", server, (client,), {"issuer": held.issuer, "scopes": list(held.allowed())}
        )

    async def _renew_in_time(self, server: ServerName, held: Held, tokens: Tokens) -> None:
        try:
            await self._renew(server, held)
        except Refused:
            return
        except Denial:
            # What is old may still be good; it is tried again with the next request.
            if tokens.dead(self._parts.clock.now()):
                raise

    async def _renew(self, server: ServerName, held: Held) -> bool:
        """Newer tokens without the person; False where there is no way to get any, or the login ended meanwhile.

        Raises:
            Refused: the authorization server takes what we have no longer; the tokens are forgotten.
            Denial: it does not answer.
        """
        try:
            if held.flow is Flow.CLIENT:
                tokens = await self._endpoint.get(held)
            elif held.tokens is not None and held.tokens.refresh is not None:
                tokens = await self._endpoint.renew(held)
            else:
                return False
        except Refused as refused:
            if self._stands(server, held) and refused.unknown:
                await self._book.forget(server)
            elif self._stands(server, held) and refused.invalid:
                await self._book.keep(server, replace(held, tokens=None))
            raise
        if not self._stands(server, held):
            return False
        await self._book.keep(server, replace(held, tokens=tokens))
        await self._parts.record("login-renew", server, (), {"issuer": held.issuer})
        return True

    def _stands(self, server: ServerName, held: Held) -> bool:
        """Whether this login is the one that counts still; what comes late for another must not bring it back."""
        return self._book.now(server, held.url) is held

    # After a challenge.

    async def renewed(self, server: Server, used: Sealed[str] | None) -> bool:
        """Whether there is another token than `used` now, without asking anybody. Raises as `_renew`."""
        async with self._lock(server.name):
            held = await self._book.held(server.name, address_of(server))
            if held is None or held.tokens is None:
                return False
            if used is None or held.tokens.access.open() != used.open():
                return True
            try:
                return await self._renew(server.name, held)
            except Refused:
                return False

    async def log_in(self, server: Server, client: ClientName | None, challenge: Challenge) -> None:
        """Log in anew, or with more rights, as the challenge wants; returns when that is done.

        Raises:
            Denial: the person says no, or is not there; more rights would change nothing; as `plan` and `begin`.
        """
        name = server.name
        if len(self._wishes) < MAX_REMEMBERED:
            self._wishes[name] = challenge.wish
        held = await self._earlier(server)
        if challenge.status == FORBIDDEN and held is not None and set(challenge.wish.scopes or ()) <= set(held.scopes):
            raise Denial(Code.SERVER_UNAVAILABLE, f"{name} wants rights that its login has asked for already")
        if client is None:
            raise Denial(Code.SERVER_UNAVAILABLE, f"{name} wants you to log in: ztmcp server login {name}")
        self._still_refused(client, name)
        async with self._lock(name):
            pending = self.attempts.latest(name)
            if pending is None or pending.done.done() or client not in pending.clients:
                pending = await self._asked(server, client, challenge)
        await pending.finished()

    async def _asked(self, server: Server, client: ClientName, challenge: Challenge) -> Pending:
        show = self._parts.page()
        if show is None:
            raise _nobody(server.name, client)
        plan = await self.plan(server, Choice(), challenge.wish)
        try:
            await self._parts.word.agree(login_words(plan, (client,)))
        except Denial as denial:
            await self._was_refused(denial, server.name, client)
        pending = await self.begin(plan, (client,))
        if pending.page:
            show(pending.page)
        return pending

    def _still_refused(self, client: ClientName, server: ServerName) -> None:
        at = self._refused.get((client, server))
        if at is not None and self._parts.clock.monotonic() - at < REFUSED_FOR_S:
            raise Denial(Code.REFUSED_BY_PERSON, f"the person said no to a login at {server} a moment ago")

    async def _was_refused(self, denial: Denial, server: ServerName, client: ClientName) -> NoReturn:
        if denial.code is Code.NOBODY_THERE:
            raise _nobody(server, client) from denial
        if denial.code is Code.REFUSED_BY_PERSON:
            while len(self._refused) >= MAX_REMEMBERED:
                del self._refused[next(iter(self._refused))]
            self._refused[client, server] = self._parts.clock.monotonic()
        await self._parts.record("login", server, (client,), {}, denial)
        raise denial

    # What the person begins.

    async def plan(self, server: Server, choice: Choice, wish: Wish | None = None) -> Plan:
        """What a login at this server would be. Raises as `make_plan`, and where the server takes no login of ours."""
        url = address_of(server)
        if not url:
            raise Denial(
                Code.NOT_PERMITTED, f"{server.name} has no login of this kind: it is local, or has a header for it"
            )
        wish = wish or self._wishes.get(server.name) or await ask_for_wish(self._parts.http, url)
        held = await self._earlier(server)
        return await make_plan(self._parts.http, server.name, url, wish, choice, self._parts.document, held)

    async def _earlier(self, server: Server) -> Held | None:
        """The login that there is; one that the keychain does not give is none for whoever logs in anew."""
        try:
            return await self._book.held(server.name, address_of(server))
        except Denial as denial:
            if denial.code is not Code.SECRET_MISSING:
                raise
            return None

    async def begin(self, plan: Plan, clients: tuple[ClientName, ...]) -> Pending:
        """Begin the login that the person agreed to. Raises as `Attempts.begin`."""
        for client in clients:
            self._refused.pop((client, plan.server), None)
        self._wishes.pop(plan.server, None)
        return await self.attempts.begin(plan, clients)

    async def close(self) -> None:
        """End every login that waits."""
        await self.attempts.close()

    async def log_out(self, server: ServerName) -> bool:
        """Forget the login and who may use it; False if there was none."""
        await self.attempts.give_up(server)
        self._wishes.pop(server, None)
        return await self._book.forget(server)

    def forget_client(self, client: ClientName) -> None:
        """No login is this client's any more, nor will one that is on its way be."""
        self.attempts.forget_client(client)
        self._book.forget_client(client)

    def shown(self, server: Server) -> JsonObject | None:
        """The login as it is shown: never the tokens."""
        url = address_of(server)
        entry = self._book.entry(server.name, url) if url else None
        if entry is None:
            return None
        return {"issuer": entry.issuer, "clients": {name: list(to) for name, to in entry.clients.items()}}

    def _lock(self, server: ServerName) -> asyncio.Lock:
        return self._locks.setdefault(server, asyncio.Lock())


def _nobody(server: ServerName, client: ClientName) -> Denial:
    return Denial(
        Code.NOBODY_THERE,
        f"{server} wants you to log in, and nobody can be asked here: ztmcp server login {server} --client {client}",
        Retry.LATER,
    )
