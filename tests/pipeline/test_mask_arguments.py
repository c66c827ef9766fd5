"""Stage 7: what is known of the arguments can take back a permission to pass unasked, and never gives one."""

import pytest

from tests.fakes import identified, make_call
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.proof import Asking, Judged, MaskedArguments
from ztmcp_desktop.pipeline.mask_arguments import MaskArguments, Treatment
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.surrogates import Surrogates


def judged(asking: Asking, text: str) -> Call:
    call = identified(make_call("send", {"text": text}))
    return call.proved(Judged(asking=asking, rules=(), because=()))


def stage(treatment: Treatment) -> MaskArguments:
    return MaskArguments(Masker(Surrogates()), lambda _call, _kinds: treatment)


@pytest.mark.attack("P11")
async def test_a_call_that_may_pass_unasked_only_without_sensitive_data_is_asked_about() -> None:
    call = await stage(Treatment.ASK)(judged(Asking.UNASKED, "to ada@example.org"))
    assert call.proof(Judged).asking is Asking.ASK
    assert "EMAIL" in call.proof(Judged).because[0]
    assert call.proof(MaskedArguments).kinds == (("EMAIL", 1),)


@pytest.mark.parametrize("treatment", [Treatment.PASS, Treatment.ASK])
async def test_a_call_that_is_asked_stays_so(treatment: Treatment) -> None:
    call = await stage(treatment)(judged(Asking.ASK, "to ada@example.org"))
    assert call.proof(Judged).asking is Asking.ASK


async def test_without_sensitive_data_nothing_is_treated() -> None:
    call = await stage(Treatment.BLOCK)(judged(Asking.UNASKED, "to nobody"))
    assert call.proof(Judged).asking is Asking.UNASKED


@pytest.mark.attack("P11")
async def test_what_a_rule_blocks_does_not_leave() -> None:
    with pytest.raises(Denial) as refused:
        await stage(Treatment.BLOCK)(judged(Asking.UNASKED, "to ada@example.org"))
    assert refused.value.code is Code.BLOCKED_CONTENT
