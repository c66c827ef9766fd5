"""Calls of 2026-07-28 clients that wait at a handshake-era server while the client is asked through answers.

What such a server asks during a call becomes an `input_required` answer (2026-07-28, basic/patterns/mrtr); the client's
next request brings what was asked for. The answer goes through the pipeline, which judges each question in it.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from ztmcp_desktop.domain.call import Call, Channel, Reply
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.gateway.states import bound_to, not_given

MAX_PARKED = 64
MAX_PARKED_A_CLIENT = 8
MAX_QUESTIONS = 16
PARKED_S = 600.0
HANDLE_BYTES = 24
BRIDGED_METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})
_ROUND = ("inputResponses", "requestState")

Running = Coroutine[None, None, Reply]


@dataclass(slots=True, eq=False)
class ParkedChannel:
    """The way back of a call that outlives the request it came with: a question waits for the client's next one."""

    channel: Channel
    questions: dict[str, tuple[JsonObject, asyncio.Future[Reply]]] = field(default_factory=dict)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    async def notify(self, method: str, params: JsonObject | None) -> None:
        await self.channel.notify(method, params)

    async def request(self, method: str, params: JsonObject | None) -> JsonObject:
        reply = await self.ask(method, params or {})
        if reply.is_error:
            raise Denial(Code.SERVER_UNAVAILABLE, "the client answered the server with an error")
        return reply.body

    async def ask(self, method: str, params: JsonObject) -> Reply:
        """Put the question into the next answer, and wait for the request that brings the client's."""
        if self.count >= MAX_QUESTIONS:
            raise Denial(Code.TOO_LARGE, "the server asked too much during one call")
        self.count += 1
        key = f"q{self.count}"
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.questions[key] = ({"method": method, "params": params}, answer)
        self.asked.set()
        try:
            return await answer
        finally:
            self.questions.pop(key, None)

    def answer(self, untrusted_responses: Json) -> None:
        """Hand the client's answers on; a question without one stays and is asked again."""
        given = untrusted_responses if isinstance(untrusted_responses, dict) else {}
        for key in self.questions.keys() & given.keys():
            response, (_, answer) = given[key], self.questions[key]
            if isinstance(response, dict) and not answer.done():
                answer.set_result(Reply(body=response))
                del self.questions[key]
        if not self.questions:
            self.asked.clear()


@dataclass(slots=True, eq=False, kw_only=True)
class _Parked:
    client: str
    binding: str
    channel: ParkedChannel
    work: asyncio.Task[Reply]
    expiry: asyncio.TimerHandle | None = None


class Parking:
    """At most `MAX_PARKED` calls that wait for their client, none longer than `wait_s`: then the server is told.

    Where a client has `MAX_PARKED_A_CLIENT` of them already, its oldest makes room.
    """

    def __init__(self, wait_s: float = PARKED_S) -> None:
        self._wait_s = wait_s
        self._parked: dict[str, _Parked] = {}

    def __len__(self) -> int:
        return len(self._parked)

    async def run(self, call: Call, start: Callable[[ParkedChannel, JsonObject], Running], params: JsonObject) -> Reply:
        """The reply of the call, or what the server asks, with a `requestState` that is good once, for this request.

        `start` sends the call with these parameters; a request that resumes a parked call does not use it.

        Raises:
            Denial: as `start`; too many calls wait already (`server-unavailable`).
        """
        handle = params.get("requestState")
        binding = _binding(call, params)
        if handle is None:
            channel = ParkedChannel(call.channel)
            plain = {key: value for key, value in params.items() if key not in _ROUND}
            work = asyncio.ensure_future(start(channel, plain))
            return await self._wait(_Parked(client=call.principal.client, binding=binding, channel=channel, work=work))
        parked = self._parked.get(handle) if isinstance(handle, str) else None
        if parked is None or not secrets.compare_digest(parked.binding, binding):
            return not_given()
        self._leave(str(handle), parked)
        parked.channel.channel = call.channel
        parked.channel.answer(params.get("inputResponses"))
        return await self._wait(parked)

    async def _wait(self, parked: _Parked) -> Reply:
        asked = asyncio.ensure_future(parked.channel.asked.wait())
        try:
            await asyncio.wait({parked.work, asked}, return_when=asyncio.FIRST_COMPLETED)
            return parked.work.result() if parked.work.done() else self._park(parked)
        except BaseException:
            parked.work.cancel()
            raise
        finally:
            asked.cancel()

    def _park(self, parked: _Parked) -> Reply:
        held = [key for key, other in self._parked.items() if other.client == parked.client]
        if len(held) >= MAX_PARKED_A_CLIENT:
            # A client of this era gives a call up by not coming back.
            oldest = self._parked[held[0]]
            self._leave(held[0], oldest)
            oldest.work.cancel()
        if len(self._parked) >= MAX_PARKED:
            raise Denial(Code.SERVER_UNAVAILABLE, "too many calls wait for their clients already", Retry.LATER)
        handle = secrets.token_hex(HANDLE_BYTES)
        self._parked[handle] = parked
        parked.expiry = asyncio.get_running_loop().call_later(self._wait_s, parked.work.cancel)
        parked.work.add_done_callback(lambda done: self._over(handle, done))
        asked: JsonObject = {key: question for key, (question, _) in parked.channel.questions.items()}
        return Reply(body={"resultType": "input_required", "inputRequests": asked, "requestState": handle})

    def _leave(self, handle: str, parked: _Parked) -> None:
        del self._parked[handle]
        if parked.expiry is not None:
            parked.expiry.cancel()

    def _over(self, handle: str, work: asyncio.Task[Reply]) -> None:
        if (parked := self._parked.get(handle)) is not None:
            self._leave(handle, parked)
        if not work.cancelled():
            work.exception()  # looked at, since nobody may come for it any more


def _binding(call: Call, params: JsonObject) -> str:
    return json.dumps([call.principal.token, call.principal.session, *bound_to(call, params)], sort_keys=True)
