"""The servers behind us: started at the first call, one for each client, and none able to harm another."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from ztmcp_desktop.domain.call import Call, Outbound, Reply
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import Era, Offer
from ztmcp_desktop.domain.proof import Identified
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import Launch
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.gateway.announcing import announce_lists
from ztmcp_desktop.gateway.challenge import Challenge
from ztmcp_desktop.gateway.http_client import HttpClient
from ztmcp_desktop.gateway.http_link import HttpLink
from ztmcp_desktop.gateway.key import Key, key_of
from ztmcp_desktop.gateway.link import Link, Route
from ztmcp_desktop.gateway.listen_stream import ListenStream
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.listing import subscribable
from ztmcp_desktop.gateway.login.logins import Logins
from ztmcp_desktop.gateway.login.visit import Visit
from ztmcp_desktop.gateway.negotiation import capabilities_of, preferred
from ztmcp_desktop.gateway.parking import Parking
from ztmcp_desktop.gateway.probe import ending_of, probe
from ztmcp_desktop.gateway.slots import Slot, Slots, end_slot, joined, seen, stopped
from ztmcp_desktop.gateway.states import States
from ztmcp_desktop.gateway.stderr_log import StderrLog
from ztmcp_desktop.gateway.stdio import StdioLink
from ztmcp_desktop.gateway.supervisor import Upstream
from ztmcp_desktop.ports import Catalogue, ChildProcess, Clock, Ledger, ReverseGate, Sandbox, ServerBook

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0
MAX_FAILURES_COUNTED = 8
# A client's notifications that concern its own conversation with us, and so nobody else.
_NOT_PASSED_ON = frozenset({"notifications/initialized", "notifications/cancelled", "notifications/roots/list_changed"})

_log = logging.getLogger(__name__)


class StdioAndHttpUpstreams:
    """`Upstreams` over child processes and HTTP.

    A server that does not start, dies, floods or writes rubbish fails the calls of its one client. After the second
    failure in a row the next start is refused for a second, then two, to at most `MAX_BACKOFF_S`.
    """

    def __init__(  # noqa: PLR0913 - the ports it stands on, wired once
        self,
        *,
        servers: ServerBook,
        catalogue: Catalogue,
        sandbox: Sandbox,
        reverse: ReverseGate,
        ledger: Ledger,
        clock: Clock,
        http: HttpClient,
        logins: Logins,
        digester: Digester,
        listeners: Listeners,
    ) -> None:
        self._servers = servers
        self._catalogue = catalogue
        self._sandbox = sandbox
        self._reverse = reverse
        self._ledger = ledger
        self._clock = clock
        self._http = http
        self._logins = logins
        self._slots = Slots()
        self._parking = Parking()
        self._states = States(digester)
        self._logs: dict[ServerName, StderrLog] = {}
        self._listeners = listeners
        self._tidying: set[asyncio.Task[None]] = set()
        listeners.on_unwanted = self._unwanted

    async def send(self, call: Call) -> Reply:
        if call.outbound is None:
            raise Denial(Code.GATEWAY_FAULT, "nothing was prepared to be sent")
        server = self._servers.get(call.server)
        visit = Visit(self._logins, server, call.principal.client)
        while True:
            await visit.ready()
            try:
                return await self._sent(call, server, call.outbound.open())
            except Challenge as challenge:
                # The server did nothing but say so, so the call is made once more.
                await visit.meet(challenge)

    async def _sent(self, call: Call, server: Server, outbound: Outbound) -> Reply:
        route = Route(
            headers=_headers(server, outbound.headers),
            input_schema=call.proof(Identified).pin.item.get("inputSchema"),
        )
        slot, displaced = self._slots.use(self._key(call))
        slot.users += 1
        try:
            if displaced is not None:
                await end_slot(displaced)
            upstream = await self._running(slot, call, server, outbound, route)
            upstream.hearing.announcer.keep_from_view(outbound.secrets)
            await upstream.confirm(call, route)
            reply = await upstream.forward(call, outbound.params, route)
        finally:
            slot.users -= 1
        slot.failures = 0
        return reply

    def _key(self, call: Call) -> Key:
        return key_of(call, preferred(call.era, self._catalogue.offer(call.server)))

    async def _running(self, slot: Slot, call: Call, server: Server, outbound: Outbound, route: Route) -> Upstream:
        if slot.starting is None:
            if slot.upstream is not None:
                if slot.upstream.up and slot.upstream.server == server:
                    return slot.upstream
                await self._retire(slot)
            if slot.starting is None:
                self._refuse_too_early(slot)
                slot.starting = asyncio.create_task(self._start(slot, call, server, outbound, route))
                slot.starting.add_done_callback(seen)
        # Whoever gives up waiting does not take the start away from the others.
        return await joined(slot.starting)

    def _refuse_too_early(self, slot: Slot) -> None:
        if (wait_s := slot.not_before - self._clock.monotonic()) > 0:
            raise Denial(
                Code.SERVER_UNAVAILABLE,
                f"the server failed {slot.failures} times in a row; the next try is in {wait_s:.0f} s",
                Retry.LATER,
            )

    async def _retire(self, slot: Slot) -> None:
        upstream, slot.upstream = slot.upstream, None
        if upstream is not None:
            if not upstream.up:
                self._count_failure(slot)
            await upstream.close(stopped())

    def _count_failure(self, slot: Slot) -> None:
        slot.failures = min(slot.failures + 1, MAX_FAILURES_COUNTED)
        if slot.failures > 1:
            backoff_s = min(FIRST_BACKOFF_S * 2 ** (slot.failures - 2), MAX_BACKOFF_S)
            slot.not_before = self._clock.monotonic() + backoff_s

    async def _start(self, slot: Slot, call: Call, server: Server, outbound: Outbound, route: Route) -> Upstream:
        upstream = Upstream(
            principal=call.principal,
            server=server,
            catalogue=self._catalogue,
            reverse=self._reverse,
            ledger=self._ledger,
            clock=self._clock,
            parking=self._parking,
            states=self._states,
            key=self._key(call),
            listeners=self._listeners,
        )
        # It may talk before its first call is sent.
        upstream.hearing.announcer.keep_from_view(outbound.secrets)
        try:
            era = preferred(call.era, self._catalogue.offer(server.name))
            await self._record(call.principal, server, {"event": "starting", "era": era.value})
            async with asyncio.timeout(server.limits.start_s):
                link = await self._link(server, era, outbound.env, call.principal.client)
                await upstream.open(link, era, capabilities_of(call, era), route)
        except BaseException as failure:
            await upstream.close(stopped())
            slot.starting = None
            if isinstance(failure, TimeoutError):
                self._count_failure(slot)
                raise Denial(
                    Code.SERVER_UNAVAILABLE, f"the server was not ready within {server.limits.start_s:g} s", Retry.LATER
                ) from None
            failed = isinstance(failure, Denial) and failure.code in {Code.SERVER_UNAVAILABLE, Code.TOO_LARGE}
            if failed and not isinstance(failure, Challenge):
                self._count_failure(slot)
            raise
        slot.upstream, slot.starting = upstream, None
        return upstream

    async def _record(self, principal: Principal, server: Server, body: JsonObject) -> None:
        await self._ledger.append(Draft(kind=EntryKind.SERVER, client=principal.client, server=server.name, body=body))

    async def _link(self, server: Server, era: Era, env: Mapping[str, str], client: ClientName) -> Link:
        match server.endpoint:
            case RemoteUrl(url=url):
                return self._remote(server, url, era, client)
            case LocalCommand(env=plain, secret_env=secret_env):
                if any(variable not in env for variable, _ in secret_env):
                    raise Denial(
                        Code.SERVER_UNAVAILABLE, "the server ended just before this call; call again", Retry.LATER
                    )
                runtime = await asyncio.to_thread(self._catalogue.runtime, server.name)
                return self._pipes(server, await self._process(server, runtime, {**dict(plain), **env}))

    def _remote(self, server: Server, url: str, era: Era, client: ClientName | None) -> Link:
        login = partial(self._logins.current, server, client)
        return HttpLink(self._http, url, era, server.limits.result_bytes, login)

    async def _process(self, server: Server, runtime: Runtime, env: Mapping[str, str]) -> ChildProcess:
        return await self._sandbox.start(
            Launch(server=server.name, runtime=runtime, limits=server.limits, env=Sealed(env))
        )

    def _pipes(self, server: Server, child: ChildProcess) -> Link:
        log = self._logs.setdefault(server.name, StderrLog())
        return StdioLink(child, server.limits.result_bytes, log)

    async def notify(self, principal: Principal, server: ServerName, method: str, params: JsonObject | None) -> None:
        if method in _NOT_PASSED_ON:
            return
        for upstream in [slot.upstream for slot in self._slots.matching(principal.client, server)]:
            if upstream is None or not upstream.up:
                continue
            try:
                await upstream.tell(method, params)
            except Denial:
                _log.debug("a server was gone before it was notified")

    def listen(self, call: Call) -> ListenStream:
        offer = self._catalogue.offer(call.server)
        return ListenStream(call, self._key(call), self._listeners, subscribable(offer, call.era))

    async def relisted(self, server: ServerName) -> None:
        offer = self._catalogue.offer(server)
        await announce_lists(server, offer, self._listeners, self._reverse, self._clock)

    def _unwanted(self, key: Key, uri: str) -> None:
        slot = self._slots.get(key)
        if slot is not None and slot.upstream is not None and slot.upstream.up:
            task = asyncio.create_task(slot.upstream.hearing.unwanted(uri))
            self._tidying.add(task)
            task.add_done_callback(self._tidying.discard)

    def running(self, client: ClientName, server: ServerName) -> bool:
        return any(slot.up for slot in self._slots.matching(client, server))

    def running_for(self, call: Call) -> bool:
        slot = self._slots.get(self._key(call))
        return slot is not None and slot.up

    async def probe(
        self, server: Server, runtime: Runtime | None, headers: Sealed[Mapping[str, str]] | None = None
    ) -> Offer:
        route = Route(headers=_headers(server, headers.open() if headers else {}))
        children: list[ChildProcess] = []

        async def link(era: Era) -> Link:
            match server.endpoint:
                case RemoteUrl(url=url):
                    return self._remote(server, url, era, None)
                case LocalCommand(env=plain):
                    if runtime is None:
                        raise Denial(Code.GATEWAY_FAULT, "a local server cannot be probed without its runtime")
                    child = await self._process(server, runtime, dict(plain))
                    children.append(child)
                    return self._pipes(server, child)

        try:
            return await self._probed(server, link, route)
        except Denial as denial:
            if denial.code is Code.SERVER_UNAVAILABLE and (how := await ending_of(children)):
                raise Denial(denial.code, how) from denial
            raise

    async def _probed(self, server: Server, link: Callable[[Era], Awaitable[Link]], route: Route) -> Offer:
        visit = Visit(self._logins, server, None)
        while True:
            await visit.ready()
            try:
                return await probe(link, route, server.limits.start_s)
            except Challenge as challenge:
                await visit.meet(challenge)

    async def stop(self, server: ServerName | None = None, client: ClientName | None = None) -> None:
        self._listeners.end(client, server, stopped())
        slots = self._slots.take(client, server)
        for slot in slots:
            if slot.starting is not None:
                slot.starting.cancel()
        await asyncio.gather(*(end_slot(slot) for slot in slots))

    def log(self, server: ServerName) -> tuple[str, ...]:
        log = self._logs.get(server)
        return log.lines if log else ()


def _headers(server: Server, secret: Mapping[str, str]) -> dict[str, str]:
    plain = dict(server.endpoint.headers) if isinstance(server.endpoint, RemoteUrl) else {}
    return {**plain, **secret}
