"""Stage 4: how dangerous the call is. It refuses nothing; what it cannot tell counts as dangerous."""

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.proof import Classified, Identified
from ztmcp_desktop.scan.harm import assess


class Classify:
    """Judges the call by the pinned item and the real arguments, surrogates turned back."""

    async def __call__(self, call: Call) -> Call:
        item = call.proof(Identified).pin.item
        found = assess(call.method, item, call.arguments)
        return call.proved(Classified(risk=found.risk, effects=found.effects, signs=found.signs))
