"""The gateway that serves: the parts, with the endpoint and the control socket open."""

import gc
from pathlib import Path

from ztmcp_desktop.control.assembly import Parts, assemble
from ztmcp_desktop.control.bridge_socket import BridgeSocket
from ztmcp_desktop.control.parts import Front
from ztmcp_desktop.control.socket import ControlSocket
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.gateway.endpoint import Endpoint
from ztmcp_desktop.gateway.http_server import HttpServer
from ztmcp_desktop.ports import ConsentDesk
from ztmcp_desktop.settings import Home, Settings

# Objects that a call makes and drops at once are many; those that a collection could free are few.
COLLECT_AFTER = 10_000


class Serving:
    """One running gateway. Made by `start`, ended by `stop`; both on the core's loop."""

    def __init__(self, parts: Parts, endpoint: Endpoint, bridge: BridgeSocket) -> None:
        self.parts = parts
        self._endpoint = endpoint
        self._server = HttpServer(endpoint.app, parts.settings.port)
        self._bridge = bridge
        self._socket = ControlSocket(parts.home, parts.outside)

    @classmethod
    async def start(cls, home: Home, settings: Settings, desk: ConsentDesk, front: Front, user_home: Path) -> "Serving":
        """Build everything and listen; `front.port` is set when it does. The caller holds the home's lock.

        Raises:
            Denial: something that it needs is missing, or the port is taken.
        """
        parts = await assemble(home, settings, desk, front, user_home)
        endpoint = Endpoint(
            gate=parts.pipeline,
            clients=parts.clients,
            catalogue=parts.catalogue,
            ledger=parts.store,
            settings=settings,
            clock=parts.clock,
            oauth=parts.oauth,
            listeners=parts.listeners,
            peers=parts.oauth.peers,
        )
        bridge = BridgeSocket(
            home,
            settings=settings,
            peers=parts.oauth.peers,
            pairing=parts.pairing,
            pipes=endpoint.pipes,
            ledger=parts.store,
        )
        serving = cls(parts, endpoint, bridge)
        try:
            await serving._open()
        except BaseException:
            await parts.close()
            raise
        return serving

    async def _open(self) -> None:
        parts = self.parts
        if not parts.front.screen and parts.rules.drift():
            # Without a screen there is nobody to ask: who may edit the files may start the gateway.
            parts.rules.adopt()
        await self._endpoint.start()
        _settle_memory()
        await parts.store.append(Draft(kind=EntryKind.GATEWAY, method="start"))
        await self._server.start()
        parts.front.port = parts.settings.port
        await self._bridge.start()
        await self._socket.start()

    async def stop(self) -> None:
        """Refuse what comes, end what runs, and close the ledger."""
        await self._socket.stop()
        await self._bridge.stop()
        self.parts.front.port = None
        await self._endpoint.stop()
        await self._server.stop()
        await self.parts.store.append(Draft(kind=EntryKind.GATEWAY, method="stop"))
        await self.parts.close()


def _settle_memory() -> None:
    """Leave what was loaded until now out of later collections: each walk through it held up every call for 60 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
