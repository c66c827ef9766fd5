"""Stage 4: how dangerous the call is. It refuses nothing; what it cannot tell counts as dangerous."""

import asyncio

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.proof import Classified, Identified
from ztmcp_desktop.scan.harm import assess
from ztmcp_desktop.scan.size import is_large

MAX_INLINE_BYTES = 1024


class Classify:
    """Judges the call by the pinned item and the real arguments, surrogates turned back."""

    async def __call__(self, call: Call) -> Call:
        item = call.proof(Identified).pin.item
        work = (call.method, item, call.arguments)
        # SQL of a few kilobytes takes a second to parse in every dialect.
        large = is_large(call.arguments, MAX_INLINE_BYTES)
        found = await asyncio.to_thread(assess, *work) if large else assess(*work)
        return call.proved(Classified(risk=found.risk, effects=found.effects, signs=found.signs))
