"""Stage 7: what sensitive data would leave. It is shown and marked; a rule may have it masked, or block the call."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.proof import Asking, Judged, MaskedArguments
from ztmcp_desktop.pipeline.masker import Masker, kinds_in
from ztmcp_desktop.scan.size import is_large

MAX_INLINE_BYTES = 64 * 1024


class Treatment(Enum):
    """What becomes of sensitive data in arguments."""

    PASS = auto()
    ASK = auto()
    MASK = auto()
    BLOCK = auto()


Treat = Callable[[Call, tuple[str, ...]], Treatment]


def pass_all(_call: Call, _kinds: tuple[str, ...]) -> Treatment:
    """Nothing is altered: a mail to `<EMAIL_1>` helps nobody."""
    return Treatment.PASS


class MaskArguments:
    """Finds personal data and keys in the arguments, and does with them what `treat` says."""

    def __init__(self, masker: Masker, treat: Treat = pass_all) -> None:
        self._masker = masker
        self._treat = treat

    async def __call__(self, call: Call) -> Call:
        call.proof(Judged)
        arguments = call.arguments
        large = is_large(arguments, MAX_INLINE_BYTES)
        kinds = await asyncio.to_thread(kinds_in, arguments) if large else kinds_in(arguments)
        names = tuple(kind for kind, _ in kinds)
        match self._treat(call, names) if kinds else Treatment.PASS:
            case Treatment.PASS:
                return call.proved(MaskedArguments(kinds=kinds))
            case Treatment.ASK:
                return _asked(call, names).proved(MaskedArguments(kinds=kinds))
            case Treatment.MASK:
                masked, _ = self._masker.mask_value(call.principal.session, call.server, arguments)
                return call.with_arguments(masked).proved(MaskedArguments(kinds=kinds, altered=names))
            case _:
                raise Denial(
                    Code.BLOCKED_CONTENT, f"a rule lets no {', '.join(names)} leave to {call.server}", Retry.DIFFERENT
                )


def _asked(call: Call, names: tuple[str, ...]) -> Call:
    """The call, to be asked about even where the rules let it pass before this was known."""
    if call.proof(Judged).asking is Asking.ASK:
        return call
    because = f"{', '.join(names)} would leave, and no rule lets that pass without asking."
    return call.proved(Judged(asking=Asking.ASK, rules=(), because=(because,)))
