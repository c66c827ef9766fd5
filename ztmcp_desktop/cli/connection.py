"""The way to the plane: the running gateway's socket, or the same parts built here while nobody else has the home."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ztmcp_desktop.control.socket_client import NoGateway, ask_gateway
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.settings import Home, find_home

if TYPE_CHECKING:
    from ztmcp_desktop.control.assembly import Parts

WAIT_S = 5.0
POLL_S = 0.05


class Connection:
    """Asks the gateway that runs, or the parts that were built here."""

    def __init__(self, home: Home, runner: asyncio.Runner | None = None, parts: "Parts | None" = None) -> None:
        self._home = home
        self._runner = runner
        self._parts = parts

    def ask(self, verb: str, arguments: JsonObject | None = None) -> JsonObject:
        """The plane's answer.

        Raises:
            Denial: it failed or was refused.
        """
        if self._runner is not None and self._parts is not None:
            return self._runner.run(self._parts.outside.ask(verb, arguments or {}))
        try:
            return ask_gateway(self._home, verb, arguments or {})
        except NoGateway as error:
            raise Denial(Code.GATEWAY_FAULT, "the gateway stopped meanwhile; run the command again") from error


@contextmanager
def connected() -> Iterator[Connection]:
    """A connection to whoever has the home, for the length of one command.

    Raises:
        Denial: the home is held by a process that does not answer within 5 s, or cannot be used.
    """
    # Late, so that `ztmcp -h` and `ztmcp status` stay quick.
    from ztmcp_desktop.control.ownership import Ownership
    from ztmcp_desktop.vault.folders import prepare

    home = find_home()
    prepare(home)
    ownership = Ownership(home)
    deadline_s = time.monotonic() + WAIT_S
    while not ownership.take():
        if _answers(home):
            yield Connection(home)
            return
        if time.monotonic() > deadline_s:
            raise Denial(
                Code.GATEWAY_FAULT, "another ztmcp holds this home and does not answer; stop it, then try again"
            )
        # It is starting, or another command is at work: both are over soon.
        time.sleep(POLL_S)
    try:
        yield from _built(home)
    finally:
        ownership.release()


def _built(home: Home) -> Iterator[Connection]:
    from ztmcp_desktop.control.assembly import assemble, settings_of
    from ztmcp_desktop.control.parts import Front
    from ztmcp_desktop.pipeline.desk import NobodyAtTheDesk

    with asyncio.Runner() as runner:
        making = assemble(home, settings_of(home, None), NobodyAtTheDesk(), Front(), Path.home())
        parts = runner.run(making)
        try:
            yield Connection(home, runner, parts)
        finally:
            runner.run(parts.close())


def _answers(home: Home) -> bool:
    try:
        ask_gateway(home, "status", {})
    except NoGateway:
        return False
    return True
