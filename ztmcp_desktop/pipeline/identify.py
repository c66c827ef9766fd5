"""Stage 2: what exactly is asked for, as the person approved it. The target is frozen from here on."""

from ztmcp_desktop.domain.call import Call, Direction
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.proof import Authenticated, Identified
from ztmcp_desktop.ports import Catalogue

MAX_SUBJECT_CHARS = 4096


class Identify:
    """Finds the pin of the call's subject; unknown or changed things are refused by the catalogue.

    A subject that is no text is refused here: `Call.subject` gives the method then, which may be a thing's name too.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def __call__(self, call: Call) -> Call:
        server = call.proof(Authenticated).server
        kind = call.item_kind if call.direction is Direction.TO_SERVER else None
        if kind is not None and not isinstance(call.params.get(kind.key), str):
            raise Denial(Code.SCHEMA_MISMATCH, f"{kind.key} must be a text", Retry.DIFFERENT)
        if len(call.subject) > MAX_SUBJECT_CHARS:
            raise Denial(Code.TOO_LARGE, f"a name has at most {MAX_SUBJECT_CHARS} characters")
        pin = self._catalogue.identify(server, kind, call.subject)
        return call.proved(Identified(server=server, subject=call.subject, pin=pin))
