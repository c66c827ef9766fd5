"""HTTP to remote servers: one client for the life of the process, to where the outbound guard lets it."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from urllib.parse import urljoin

import aiohttp

from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.gateway.outbound_guard import GuardedResolver, Reach, Target, admit, own_reach

CONNECT_S = 10.0
MAX_REDIRECTS = 3
MAX_HEADER_BYTES = 16 * 1024
# Each conversation with an older server keeps one for what the server says of itself.
MAX_CONNECTIONS = 512
_SAME_METHOD = frozenset({307, 308})
_TO_GET = frozenset({301, 302, 303})


class HttpAnswer(Protocol):
    """A response whose body has not been read."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    def header(self, name: str) -> str:
        """The first header of this name, empty if there is none. Untrusted."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, not decoded."""


class HttpClient(Protocol):
    """Requests over HTTP. Redirects stay within the origin; bodies are never inflated."""

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, reach: Reach | None = None
    ) -> AbstractAsyncContextManager[HttpAnswer]:
        """Leaving the context closes the response, read or not.

        `reach` is how far an address may lead that somebody else than the person named; without it, `url` is theirs.

        Raises:
            Denial: the address is not to be gone to, nobody answers there, or the answer is not to be trusted
                (`server-unavailable`).
        """

    async def close(self) -> None:
        """End every connection."""


class _Answer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    def header(self, name: str) -> str:
        return self._response.headers.get(name, "")

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except aiohttp.ClientError as error:
            raise unreachable() from error


class AiohttpClient:
    """`HttpClient` over aiohttp: no cookies, no proxies of the environment, certificates verified.

    `tls` says whom to trust instead of the system's authorities.
    """

    def __init__(self, resolver: GuardedResolver | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver or GuardedResolver()
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        # Made late: it belongs to the running loop, and its TLS context takes 40 ms.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, resolver=self._resolver, ssl=self._tls or True),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
                skip_auto_headers=("User-Agent",),
                max_field_size=MAX_HEADER_BYTES,
                max_line_size=MAX_HEADER_BYTES,
            )
        return self._session

    @asynccontextmanager
    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, reach: Reach | None = None
    ) -> AsyncIterator[HttpAnswer]:
        response = await self._follow(method, url, headers, body, own_reach(url) if reach is None else reach)
        try:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise Denial(Code.SERVER_UNAVAILABLE, "the server sent a packed answer, which was not asked for")
            yield _Answer(response)
        finally:
            response.close()

    async def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, reach: Reach
    ) -> aiohttp.ClientResponse:
        target = admit(url, reach)
        home = target.origin
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._once(method, target, headers, body)
            if not 300 <= response.status < 400:  # noqa: PLR2004 - the redirects of RFC 9110
                return response
            where = urljoin(str(target.url), response.headers.get("Location", ""))
            response.close()
            follows = response.status in _SAME_METHOD or (method == "GET" and response.status in _TO_GET)
            next_target = _admitted(where, reach)
            if not follows or next_target is None or next_target.origin != home:
                raise Denial(Code.SERVER_UNAVAILABLE, "the server sends its callers elsewhere; that is not followed")
            target = next_target
        raise Denial(Code.SERVER_UNAVAILABLE, "the server sends its callers in circles")

    async def _once(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        try:
            return await self._opened().request(
                method,
                target.url,
                headers={**headers, "Accept-Encoding": "identity", "User-Agent": "ztmcp"},
                data=body,
                allow_redirects=False,
            )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise unreachable() from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def kind_of(answer: HttpAnswer) -> str:
    """The media type that it says it has."""
    return answer.header("Content-Type").partition(";")[0].strip().lower()


def is_stream(answer: HttpAnswer) -> bool:
    """Whether it is a stream of server-sent events."""
    return answer.status == 200 and kind_of(answer) == "text/event-stream"  # noqa: PLR2004


def _admitted(url: str, reach: Reach) -> Target | None:
    try:
        return admit(url, reach)
    except Denial:
        return None


def unreachable() -> Denial:
    """The refusal where nobody answers. It never quotes what the server or the network said."""
    return Denial(Code.SERVER_UNAVAILABLE, "the server cannot be reached", Retry.LATER)
