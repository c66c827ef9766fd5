"""Stage 2: what exactly is asked for, as the person approved it. The target is frozen from here on."""

from ztmcp_desktop.domain.call import Call, Direction
from ztmcp_desktop.domain.proof import Authenticated, Identified
from ztmcp_desktop.ports import Catalogue


class Identify:
    """Finds the pin of the call's subject; unknown or changed things are refused by the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def __call__(self, call: Call) -> Call:
        server = call.proof(Authenticated).server
        kind = call.item_kind if call.direction is Direction.TO_SERVER else None
        pin = self._catalogue.identify(server, kind, call.subject)
        return call.proved(Identified(server=server, subject=call.subject, pin=pin))
