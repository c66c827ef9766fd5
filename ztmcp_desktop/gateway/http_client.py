"""HTTP to remote servers: one client for the life of the process, to configured origins only."""

import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import aiohttp

from ztmcp_desktop.domain.denial import Code, Denial, Retry

CONNECT_S = 10.0
MAX_REDIRECTS = 3
MAX_HEADER_BYTES = 16 * 1024
# Each conversation with an older server keeps one for what the server says of itself.
MAX_CONNECTIONS = 512
MAX_ORIGINS = 256
_SAME_METHOD = frozenset({307, 308})


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
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AbstractAsyncContextManager[HttpAnswer]:
        """Leaving the context closes the response, read or not.

        Raises:
            Denial: nobody answers, or the answer is not to be trusted (`server-unavailable`).
        """

    async def close(self) -> None:
        """End every connection."""


@lru_cache(MAX_ORIGINS)
def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port (RFC 6454).

    Raises:
        Denial: no address that we talk to: https, or plain http on this machine itself (`server-unavailable`).
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    if not host or parts.username is not None or parts.password is not None:
        raise Denial(Code.SERVER_UNAVAILABLE, "the server's address is none")
    if parts.scheme == "https":
        return "https", host, port or 443
    if parts.scheme == "http" and _is_this_machine(host):
        return "http", host, port or 80
    raise Denial(Code.SERVER_UNAVAILABLE, "a server on another machine is reached over https only")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    """`HttpClient` over aiohttp: no cookies, no proxies of the environment, certificates verified."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        # Made late: it belongs to the running loop, and its TLS context takes 40 ms.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
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
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[HttpAnswer]:
        response = await self._follow(method, url, headers, body)
        try:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise Denial(Code.SERVER_UNAVAILABLE, "the server sent a packed answer, which was not asked for")
            yield _Answer(response)
        finally:
            response.close()

    async def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        home = origin(url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._once(method, url, headers, body)
            if not 300 <= response.status < 400:  # noqa: PLR2004 - the redirects of RFC 9110
                return response
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            if response.status not in _SAME_METHOD or _origin_or_none(target) != home:
                raise Denial(Code.SERVER_UNAVAILABLE, "the server sends its callers elsewhere; that is not followed")
            url = target
        raise Denial(Code.SERVER_UNAVAILABLE, "the server sends its callers in circles")

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        try:
            return await self._opened().request(
                method,
                url,
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


def _origin_or_none(url: str) -> tuple[str, str, int] | None:
    try:
        return origin(url)
    except Denial:
        return None


def unreachable() -> Denial:
    """The refusal where nobody answers. It never quotes what the server or the network said."""
    return Denial(Code.SERVER_UNAVAILABLE, "the server cannot be reached", Retry.LATER)
