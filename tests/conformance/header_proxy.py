"""A proxy that adds the bearer token, which the conformance suite cannot send, and maps one path to another.

All else passes as it comes: a foreign Host or Origin reaches the gateway as foreign.
"""

import re

from tests.conformance.one_request import End, OneRequestProxy, last_head, pass_on


class HeaderProxy(OneRequestProxy):
    """Listens on `port`; `/mcp` there is `path` on `gateway_port`."""

    def __init__(self, port: int, gateway_port: int, path: str, token: str) -> None:
        super().__init__(port)
        self._gateway_port, self._path, self._token = gateway_port, path, token

    async def one(self, near: End) -> None:
        lines = (await near[0].readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        lines[0] = lines[0].replace(b" /mcp ", b" " + self._path.encode() + b" ")
        own = re.compile(rb"(?i)(host|origin):(.*):%d$" % self._port)
        lines = [own.sub(rb"\1:\2:%d" % self._gateway_port, line) for line in lines]
        await pass_on(near, self._gateway_port, last_head([*lines, b"Authorization: Bearer " + self._token.encode()]))
