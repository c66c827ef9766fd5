"""Messages over Streamable HTTP to a remote server, in both eras."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import LISTEN
from ztmcp_desktop.gateway import sdk
from ztmcp_desktop.gateway.event_stream import FIRST_RETRY_S, Trail, events, whole
from ztmcp_desktop.gateway.http_answers import ended_early, refusal_of, refuse_challenge, session_of
from ztmcp_desktop.gateway.http_client import HttpAnswer, HttpClient, is_stream, kind_of, unreachable
from ztmcp_desktop.gateway.http_headers import may_set
from ztmcp_desktop.gateway.jsonrpc import Rubbish, decode, encode, notification
from ztmcp_desktop.gateway.link import Inbox, Noise, Route

CLOSE_S = 2.0
TELL_S = 10.0
HEARD_S = 2.0
LINGER_S = 1.0
MAX_RESUMED = 1000
MAX_UNHEARD = 5
MAX_HEADER_CHARS = 8192
_log = logging.getLogger(__name__)


class HttpLink:
    """A transport over HTTP POSTs (MCP, streamable HTTP). Each request has its own answer, so one that fails is alone.

    Headers are made from the body that is sent; those of `Route` (secrets among them) go to `url`'s origin only. A
    server of the handshake era may also speak outside of answers, on a stream that is kept open for that, and may leave
    an answer's stream to go on with it later. `login` gives the header of a login as it is at that moment; its token is
    taken out of whatever the server says.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        era: Era,
        result_bytes: int,
        login: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._client = client
        self._url = url
        self._era = era
        self._result_bytes = result_bytes
        self._login = login
        self._shown = b""
        self._inbox: Inbox | None = None
        self._version = ""
        self._session = ""
        self._last_headers: Mapping[str, str] = {}
        self._posts: dict[str, asyncio.Task[None]] = {}
        self._told: set[asyncio.Task[None]] = set()
        self._standing: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    async def start(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def agreed(self, version: str) -> None:
        self._version = version

    async def send(self, message: JsonObject, route: Route) -> None:
        if self._inbox is None:
            raise unreachable()
        self._last_headers = route.headers
        headers = self._headers(message, route)
        try:
            body = encode(message)
        except ValueError as error:
            raise Denial(Code.SCHEMA_MISMATCH, "the request holds text that is no Unicode") from error
        if "method" in message and "id" in message:
            request_id = str(message["id"])
            trail = Trail(standing=message["method"] == LISTEN)
            task = asyncio.create_task(self._exchange(request_id, headers, body, self._inbox, trail))
            self._posts[request_id] = task
            task.add_done_callback(lambda _: self._posts.pop(request_id, None))
        else:
            try:
                await asyncio.wait_for(self._tell(headers, body), TELL_S)
            except TimeoutError as error:
                raise unreachable() from error
            if message.get("method") == "notifications/initialized" and self._standing is None:
                self._standing = asyncio.create_task(self._listen(self._inbox))

    async def overhear(self) -> None:
        # What a server says on a stream that is not open yet is lost.
        if self._standing is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), HEARD_S)

    async def abandon(self, request_id: str, route: Route) -> None:
        # In the modern era closing the stream is the cancellation; before, a notification is.
        if task := self._posts.pop(request_id, None):
            task.cancel()
        if self._era is Era.LEGACY:
            message = notification("notifications/cancelled", {"requestId": request_id})
            told = asyncio.create_task(self._tell_quietly(self._headers(message, route), encode(message)))
            self._told.add(told)
            told.add_done_callback(self._told.discard)

    async def close(self) -> None:
        tasks = [*self._posts.values(), *([self._standing] if self._standing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._told:
            await asyncio.wait(self._told, timeout=CLOSE_S)
        if self._session:
            headers = self._base_headers(Route(headers=self._last_headers))
            self._session = ""
            try:
                async with asyncio.timeout(CLOSE_S), self._client.request("DELETE", self._url, headers, None):
                    pass
            except (Denial, TimeoutError):
                _log.debug("a remote server was gone before its session was ended")

    # Requests.

    def _base_headers(self, route: Route) -> dict[str, str]:
        headers = {name: value for name, value in route.headers.items() if may_set(name, value)}
        headers["Accept"] = "application/json, text/event-stream"
        headers["Content-Type"] = "application/json"
        if version := self._version or (Era.MODERN.value if self._era is Era.MODERN else ""):
            headers["MCP-Protocol-Version"] = version
        if self._session:
            headers["Mcp-Session-Id"] = self._session
        for name, value in self._login().items():
            headers[name] = value
            self._shown = value.rpartition(" ")[2].encode("ascii")
        return headers

    def _headers(self, message: JsonObject, route: Route) -> dict[str, str]:
        headers = self._base_headers(route)
        method = message.get("method")
        if self._era is Era.MODERN and isinstance(method, str):
            headers |= sdk.routing_headers(method, message.get("params") or {}, route.input_schema)
        if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADER_CHARS:
            raise Denial(Code.TOO_LARGE, "what this server wants in headers does not fit there")
        return headers

    async def _exchange(
        self, request_id: str, headers: dict[str, str], body: bytes, inbox: Inbox, trail: Trail
    ) -> None:
        try:
            async with self._client.request("POST", self._url, headers, body) as answer:
                over = await self._read(answer, request_id, inbox, trail)
            if not over:
                over = await self._resume(request_id, inbox, trail)
            if not over:
                inbox.fail(request_id, ended_early())
        except Denial as denial:
            inbox.fail(request_id, denial)
        except asyncio.CancelledError:
            inbox.fail(request_id, unreachable())
            raise
        except Exception:  # noqa: BLE001 - the root of a task: one server must not reach the others
            _log.error("talking to a remote server failed")
            inbox.fail(request_id, unreachable())

    async def _read(self, answer: HttpAnswer, request_id: str, inbox: Inbox, trail: Trail) -> bool:
        """Deliver what the answer holds; whether the request was answered."""
        kind = kind_of(answer)
        refuse_challenge(answer)
        if answer.status != 200 and kind != "application/json":  # noqa: PLR2004
            raise self._failure(answer.status, inbox)
        if kind == "text/event-stream":
            self._keep_session(answer)
            return await self._read_events(answer, request_id, inbox, trail)
        if kind != "application/json":
            raise Denial(Code.SERVER_UNAVAILABLE, "the server's answer is neither JSON nor an event stream")
        body = await whole(answer.chunks(), self._result_bytes)
        if answer.status != 200:  # noqa: PLR2004
            self._deliver_failure(body, answer.status, request_id, inbox)
            return True
        self._keep_session(answer)
        return self._deliver(body, request_id, inbox)

    async def _read_events(self, answer: HttpAnswer, request_id: str | None, inbox: Inbox, trail: Trail) -> bool:
        over = False
        try:
            async with asyncio.timeout(None) as patience:
                async for event in events(answer.chunks(), self._result_bytes, trail):
                    over = self._deliver(event, request_id, inbox) or over
                    if over and request_id is not None and patience.when() is None:
                        # Left open by the server, it would take a connection from all others for each answer.
                        patience.reschedule(asyncio.get_running_loop().time() + LINGER_S)
        except TimeoutError:
            _log.debug("a remote server left the stream of its answer open")
        except Denial as denial:
            if denial.code is not Code.SERVER_UNAVAILABLE or not self._may_resume(trail):
                raise
        return over

    # What a server of the handshake era sends on streams of its own (2025-11-25, streamable HTTP).

    def _may_resume(self, trail: Trail) -> bool:
        return self._era is Era.LEGACY and trail.last_id != ""

    async def _resume(self, request_id: str, inbox: Inbox, trail: Trail) -> bool:
        """Go on with an answer where the server left it, after as long as it said; whether it came.

        The caller limits the time.
        """
        for _ in range(MAX_RESUMED):
            if not self._may_resume(trail):
                break
            await asyncio.sleep(trail.retry_s)
            async with self._client.request("GET", self._url, self._listening(trail), None) as answer:
                if not is_stream(answer):
                    break
                if await self._read_events(answer, request_id, inbox, trail):
                    return True
        return False

    async def _listen(self, inbox: Inbox) -> None:
        """Hear what the server says outside of answers, for as long as it offers to and the conversation lasts."""
        trail, unheard = Trail(standing=True), 0
        while unheard < MAX_UNHEARD:
            try:
                async with self._client.request("GET", self._url, self._listening(trail), None) as answer:
                    self._heard.set()
                    # Where a login is wanted, the next call brings one, or a fresh one.
                    refuse_challenge(answer)
                    if not is_stream(answer):
                        return
                    unheard = 0
                    await self._read_events(answer, None, inbox, trail)
            except Denial:
                unheard += 1
            except Exception:  # noqa: BLE001 - the root of a task: one server must not reach the others
                _log.error("listening to a remote server failed")
                return
            await asyncio.sleep(max(trail.retry_s, FIRST_RETRY_S * 2**unheard))

    def _listening(self, trail: Trail) -> dict[str, str]:
        headers = self._base_headers(Route(headers=self._last_headers)) | {"Accept": "text/event-stream"}
        del headers["Content-Type"]
        return {**headers, "Last-Event-ID": trail.last_id} if trail.last_id else headers

    def _keep_session(self, answer: HttpAnswer) -> None:
        if self._era is Era.LEGACY and not self._session:
            self._session = session_of(answer)

    def _deliver_failure(self, body: bytes, status: int, request_id: str, inbox: Inbox) -> None:
        try:
            message = decode(self._without_login(body))
        except Rubbish:
            message = {}
        # Only an error to this very request counts; a server that could not read the id answers null.
        if not isinstance(message.get("error"), dict) or message.get("id") not in (request_id, None):
            raise self._failure(status, inbox)
        if status == 404 and self._session:  # noqa: PLR2004
            raise self._failure(status, inbox)
        inbox.receive({**message, "id": request_id}, len(body), request_id)

    def _deliver(self, text: bytes, request_id: str | None, inbox: Inbox) -> bool:
        """Hand a message on; whether it is the answer to `request_id`."""
        try:
            message = decode(self._without_login(text))
        except Rubbish:
            inbox.noise(Noise.NOT_A_MESSAGE)
            return False
        answers = "method" not in message
        if answers and message.get("id") != request_id:
            inbox.noise(Noise.UNKNOWN_ANSWER)
        elif not answers and "id" in message and self._era is Era.MODERN:
            inbox.noise(Noise.NOT_ALLOWED_HERE)
        else:
            inbox.receive(message, len(text), request_id)
            return answers
        return False

    def _without_login(self, text: bytes) -> bytes:
        """The text without the token that was shown to the server, which is for nobody else (O4)."""
        return text.replace(self._shown, b"{{login}}") if self._shown and self._shown in text else text

    def _failure(self, status: int, inbox: Inbox) -> Denial:
        if status == 404 and self._session:  # noqa: PLR2004
            why = Denial(Code.SERVER_UNAVAILABLE, "the server has ended the session", Retry.LATER)
            inbox.closed(why)
            return why
        return refusal_of(status)

    # Notifications and answers of ours.

    async def _tell(self, headers: dict[str, str], body: bytes) -> None:
        async with self._client.request("POST", self._url, headers, body):
            pass

    async def _tell_quietly(self, headers: dict[str, str], body: bytes) -> None:
        try:
            await asyncio.wait_for(self._tell(headers, body), CLOSE_S)
        except (Denial, TimeoutError):
            _log.debug("a remote server was gone before it was told")
