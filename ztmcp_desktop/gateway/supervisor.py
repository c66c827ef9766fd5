"""One server at work for one client: opened in an era, watched for changes, asked only what is still approved."""

import asyncio
import logging
from contextlib import suppress

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.offer import Era, ItemKind, Offer
from ztmcp_desktop.domain.proof import Identified
from ztmcp_desktop.domain.server import Server
from ztmcp_desktop.domain.subscription import SUBSCRIBE, UNSUBSCRIBE
from ztmcp_desktop.gateway.announcing import Announcer
from ztmcp_desktop.gateway.connection import Connection
from ztmcp_desktop.gateway.conversation import Conversation
from ztmcp_desktop.gateway.hearing import Hearing
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.link import Link, Noise, Route
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.negotiation import NotSpoken, incoming, outgoing
from ztmcp_desktop.gateway.parking import BRIDGED_METHODS, ParkedChannel, Parking
from ztmcp_desktop.gateway.pins import same
from ztmcp_desktop.gateway.questions import refusal_of, turned_round, unasked
from ztmcp_desktop.gateway.rounds import after_urls, in_rounds
from ztmcp_desktop.gateway.states import States
from ztmcp_desktop.ports import Catalogue, Clock, Ledger, ReverseGate

MAX_LISTING_AGE_S = 30.0
SETTLE_S = 0.5
RELIST_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


class Upstream:
    """A running server of one client. It answers the server's own requests, and passes on those for the client."""

    def __init__(  # noqa: PLR0913 - the ports it stands on, wired once
        self,
        *,
        principal: Principal,
        server: Server,
        catalogue: Catalogue,
        reverse: ReverseGate,
        ledger: Ledger,
        clock: Clock,
        parking: Parking,
        states: States,
        key: Key,
        listeners: Listeners,
    ) -> None:
        self.principal = principal
        self.server = server
        self.talk: Conversation | None = None
        self._catalogue = catalogue
        self._reverse = reverse
        self._ledger = ledger
        self._clock = clock
        self._parking = parking
        self._states = states
        self._seen = Offer()
        self._compared: dict[tuple[ItemKind, str], tuple[JsonObject, JsonObject]] = {}
        self._listed_at = 0.0
        self._listing = asyncio.Lock()
        self._notes: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self.hearing = Hearing(
            Announcer(key=key, listeners=listeners, reverse=reverse, clock=clock, refresh=self._looked)
        )

    @property
    def up(self) -> bool:
        """Whether calls may be sent."""
        return self.talk is not None and self.talk.connection.open

    def _talking(self) -> Conversation:
        if self.talk is None or not self.talk.connection.open:
            raise Denial(Code.SERVER_UNAVAILABLE, "the server ended; the next call starts it again", Retry.LATER)
        return self.talk

    async def open(self, link: Link, era: Era, capabilities: JsonObject, route: Route) -> None:
        """Greet the server and compare what it offers with the approval.

        Raises:
            Denial: it does not answer, or not in this era (`server-unavailable`); as `Catalogue.offer`.
        """
        connection = Connection(link, self)
        talk = Conversation(connection, era, capabilities, route)
        self.talk = talk
        try:
            await talk.open()
            await self._take(talk)
            self.hearing.begin(talk)
        except NotSpoken as failure:
            raise Denial(
                Code.SERVER_UNAVAILABLE, "the server does not speak the protocol version that was approved"
            ) from failure
        self._watch = asyncio.create_task(self._watched(talk))

    async def _watched(self, talk: Conversation) -> None:
        relisting = asyncio.create_task(self._relisted(talk))
        try:
            await talk.connection.ended.wait()
        finally:
            relisting.cancel()
        await self.hearing.close(_over())
        await talk.connection.close(_over())

    async def _looked(self) -> None:
        await self.refresh(self._talking().route)

    async def _relisted(self, talk: Conversation) -> None:
        """Look at once when the server says that something changed, so that nobody is asked about a changed thing."""
        while True:
            await talk.stale.wait()
            # What it does not tell now, the next call asks again, and is refused if there is no answer.
            with suppress(Denial):
                await self.refresh(talk.route)
            await asyncio.sleep(RELIST_PAUSE_S)

    async def _take(self, talk: Conversation) -> None:
        self._seen = await talk.offer()
        self._compared.clear()
        self._listed_at = self._clock.monotonic()
        self._catalogue.observe(self.server.name, self._seen)

    async def refresh(self, route: Route) -> None:
        """List again if the server said that something changed, or the last look is `MAX_LISTING_AGE_S` old.

        Raises:
            Denial: it does not list any more; as `Catalogue.offer`.
        """
        talk = self._talking()
        async with self._listing:
            old = self._clock.monotonic() - self._listed_at > MAX_LISTING_AGE_S
            if not old and not talk.stale.is_set():
                return
            talk.route = route
            try:
                async with asyncio.timeout(self.server.limits.start_s):
                    await self._take(talk)
            except TimeoutError:
                raise Denial(
                    Code.SERVER_UNAVAILABLE, "the server does not say any more what it offers", Retry.LATER
                ) from None

    async def confirm(self, call: Call, route: Route) -> None:
        """Refuse a call whose pin is not just what this very process offers now (T2).

        Raises:
            Denial: `changed-since-approval`.
        """
        await self.refresh(route)
        if not self._offers(call):
            # A server may register its last tools after the handshake; it says so within a moment.
            talk = self._talking()
            try:
                await asyncio.wait_for(talk.stale.wait(), SETTLE_S)
            except TimeoutError:
                raise _changed() from None
            await self.refresh(route)
            if not self._offers(call):
                raise _changed()

    def _offers(self, call: Call) -> bool:
        proof = call.proof(Identified)
        pin = self._catalogue.identify(self.server.name, call.item_kind, proof.subject)
        if pin.digest != proof.pin.digest or pin.server != self.server.name:
            raise _changed()
        if pin.kind is None:
            return True
        seen = self._seen.find(pin.kind, pin.name)
        if seen is None:
            return pin.kind is ItemKind.RESOURCE
        compared = self._compared.get((pin.kind, pin.name))
        if compared is None or compared[0] is not seen or compared[1] is not pin.item:
            if not same(seen, pin.item):
                raise _changed()
            # The very same objects need no second look.
            self._compared[pin.kind, pin.name] = (seen, pin.item)
        return True

    async def forward(self, call: Call, params: JsonObject, route: Route) -> Reply:
        """Send the call, what the server asks meanwhile put as the client's era has it.

        Raises as `Connection.forward`, `Parking.run` and `in_rounds`.
        """
        talk = self._talking()
        if call.method in {SUBSCRIBE, UNSUBSCRIBE}:
            return incoming(call, await self.hearing.run(call, lambda: self._sent(call, params, route)), talk.era)
        with suppress(TimeoutError):
            await talk.log_from(call.log_level)

        async def send(call: Call, params: JsonObject) -> Reply:
            return await self._sent(call, params, route)

        match call.era, talk.era:
            case Era.MODERN, Era.LEGACY if call.method in BRIDGED_METHODS:

                async def start(way: ParkedChannel, plain: JsonObject) -> Reply:
                    parked = call.with_channel(way)
                    return await after_urls(call, lambda: send(parked, plain), way.ask)

                reply = await self._parking.run(call, start, params)
            case Era.LEGACY, Era.MODERN if call.method in BRIDGED_METHODS:
                reply = await in_rounds(call, params, lambda plain: send(call, plain), self._ask_for)
            case Era.MODERN, Era.MODERN if call.method in BRIDGED_METHODS:
                reply = await self._states.run(call, lambda plain: send(call, plain), params)
            case _:
                reply = await send(call, params)
        return incoming(call, reply, talk.era)

    async def _sent(self, call: Call, params: JsonObject, route: Route) -> Reply:
        talk = self._talking()
        return await talk.connection.forward(call, outgoing(call, params, talk.era), route, self.server.limits.call_s)

    async def tell(self, method: str, params: JsonObject | None) -> None:
        """Pass on a client's notification."""
        talk = self._talking()
        await talk.connection.tell(method, params, talk.route)

    async def close(self, why: Denial) -> None:
        """End it and everything that was started for it."""
        if self.talk is None:
            return
        await self.talk.connection.close(why)
        await self.hearing.close(why)
        if self._watch is not None:
            self._watch.cancel()
        if noises := self.talk.connection.noises:
            self._note({"event": "dropped in all", "counts": noises})
        if self._notes:
            await asyncio.wait(self._notes)

    # What the server says to us.

    async def asked(self, method: str, params: JsonObject, call: Call | None) -> Reply:
        match method:
            case "ping":
                return Reply(body={})
            case "roots/list":
                return self._roots()
            case "sampling/createMessage" | "elicitation/create" if call is not None and self._reaches(call):
                if (refusal := refusal_of(method, params, call.client_capabilities)) is not None:
                    return refusal
                if isinstance(call.channel, ParkedChannel):
                    # The answer that carries the question is judged as a whole, each question through the gate.
                    return await call.channel.ask(method, params)
                return await self._reverse.ask_client(turned_round(call, method, params, self._clock))
            case _:
                return unasked()

    def _roots(self) -> Reply:
        folders = (folder.path for folder in self.server.limits.folders)
        return Reply(body={"roots": [{"uri": path.as_uri(), "name": path.name} for path in folders]})

    def _reaches(self, call: Call) -> bool:
        return self.talk is not None and (self.talk.era is call.era or isinstance(call.channel, ParkedChannel))

    async def _ask_for(self, method: str, params: JsonObject, call: Call) -> Reply:
        """Put to a handshake-era client what a server of 2026-07-28 asks in its answer."""
        if method == "roots/list":
            return self._roots()
        if (refusal := refusal_of(method, params, call.client_capabilities)) is not None:
            return refusal
        return await self._reverse.ask_client(turned_round(call, method, params, self._clock))

    def told(self, method: str, params: JsonObject) -> None:
        if self.talk is not None:
            self.hearing.told(self.talk, method, params)

    def dropped(self, kind: Noise, count: int) -> None:
        if count == 1:
            self._note({"event": "dropped", "what": kind.value})

    def _note(self, body: JsonObject) -> None:
        task = asyncio.create_task(self._noted(body))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _noted(self, body: JsonObject) -> None:
        try:
            await self._ledger.append(
                Draft(kind=EntryKind.SERVER, client=self.principal.client, server=self.server.name, body=body)
            )
        except Denial as denial:
            if self.talk is not None:
                self.talk.connection.closed(denial)


def _changed() -> Denial:
    return Denial(Code.CHANGED_SINCE_APPROVAL, "what the server offers under this name is no longer what was approved")


def _over() -> Denial:
    return Denial(Code.SERVER_UNAVAILABLE, "the server ended; the next call starts it again", Retry.LATER)
