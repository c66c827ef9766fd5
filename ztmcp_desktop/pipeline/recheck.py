"""Consent takes time. What was proved before it must still hold after it."""

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.proof import Confined, Consented, ConsentedBy, Identified
from ztmcp_desktop.ports import Stage


class Recheck:
    """Runs earlier stages once more when a person was asked: a token, a pin, a link or a rule may have changed."""

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages

    async def __call__(self, call: Call) -> Call:
        if call.proof(Consented).by is not ConsentedBy.PERSON:
            return call
        again = call
        for stage in self._stages:
            again = await stage(again)
        if again.proof(Identified).pin.digest != call.proof(Identified).pin.digest:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, f"{call.subject} was changed while it was asked about")
        if again.proof(Confined) != call.proof(Confined):
            raise Denial(
                Code.CHANGED_SINCE_APPROVAL, "a path of the call leads elsewhere now than when it was asked about"
            )
        if again.params != call.params:
            raise Denial(Code.GATEWAY_FAULT, "the call was altered after the consent")
        return call
