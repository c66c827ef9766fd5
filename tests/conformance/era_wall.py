"""A wall before a server of both eras that lets one era through, so that the gateway must bridge to the other."""

from tests.conformance.one_request import End, OneRequestProxy, last_head, pass_on

_MODERN = b"mcp-protocol-version: 2026-07-28"
_BODY = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this era is not spoken here"}}'
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class EraWall(OneRequestProxy):
    """Listens on `port` before the server on `server_port`; `version` is the era that passes."""

    def __init__(self, port: int, server_port: int, version: str) -> None:
        super().__init__(port)
        self._server_port = server_port
        self._modern_passes = version == "2026-07-28"

    async def one(self, near: End) -> None:
        head = await near[0].readuntil(b"\r\n\r\n")
        if (_MODERN in head.lower()) != self._modern_passes:
            near[1].write(_REFUSAL)
            await near[1].drain()
            return
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"host:")]
        await pass_on(near, self._server_port, last_head([*lines, b"Host: 127.0.0.1:%d" % self._server_port]))
