"""Stage 6: what the rules say of the call."""

from datetime import datetime
from typing import TypeVar

from ztmcp_desktop.domain.call import Call, Direction
from ztmcp_desktop.domain.denial import Code, Denial, Retry
from ztmcp_desktop.domain.names import RuleId
from ztmcp_desktop.domain.policy import Decision, PolicyRequest
from ztmcp_desktop.domain.proof import Asking, Classified, Confined, Identified, Judged, Proof
from ztmcp_desktop.domain.risk import Action, Risk
from ztmcp_desktop.ports import Clock, PolicyBook

P = TypeVar("P", bound=Proof)

_RISKS = {
    Risk.READ: "It reads.",
    Risk.WRITE: "It may change something.",
    Risk.DESTROY: "It may destroy something.",
    Risk.UNKNOWN: "What it does is unknown, which counts as dangerous.",
}


class Judge:
    """Asks the rules twice: may it be done at all, and may it be done without asking.

    Lists are judged without having been classified and confined; every other call must have been both.
    """

    def __init__(self, policy: PolicyBook, clock: Clock) -> None:
        self._policy, self._clock = policy, clock

    async def __call__(self, call: Call) -> Call:
        request = policy_request(call, self._clock.now())
        decision = self._policy.decide(request)
        if not decision.permitted:
            raise _refusal(decision, request)
        asking = Asking.UNASKED if decision.unasked else Asking.ASK
        because = () if decision.unasked else _because(decision, request)
        return call.proved(Judged(asking=asking, rules=decision.rules, because=because))


def policy_request(
    call: Call, now: datetime, *, sensitive: tuple[str, ...] = (), signs: tuple[str, ...] = ()
) -> PolicyRequest:
    """What the rules are asked about the call; `sensitive` and `signs` once they are known (contract, Rules)."""
    identified = call.proof(Identified)
    light = call.action is Action.LIST
    classified = _found(call, Classified) if light else call.proof(Classified)
    confined = _found(call, Confined) if light else call.proof(Confined)
    return PolicyRequest(
        client=call.principal.client,
        action=call.action,
        server=identified.server,
        kind=call.item_kind if call.direction is Direction.TO_SERVER else None,
        subject=identified.subject,
        risk=classified.risk if classified else Risk.READ,
        paths=confined.paths if confined else (),
        hosts=confined.hosts if confined else (),
        tables=confined.tables if confined else (),
        sensitive=sensitive,
        signs=signs,
        session=(),
        now=now,
    )


def _found(call: Call, kind: type[P]) -> P | None:
    return next((proof for proof in reversed(call.proofs) if isinstance(proof, kind)), None)


def _named(rules: tuple[RuleId, ...]) -> str:
    return ("the rule " if len(rules) == 1 else "the rules ") + ", ".join(rules)


def _refusal(decision: Decision, request: PolicyRequest) -> Denial:
    if decision.forbidden:
        who = _named(decision.rules) if decision.rules else "a rule"
        return Denial(Code.REFUSED_BY_RULE, f"{who} forbids it", Retry.DIFFERENT)
    return Denial(
        Code.NOT_PERMITTED,
        f"no rule permits {request.client} the action {request.action.value} on {request.server}",
        Retry.DIFFERENT,
    )


def _because(decision: Decision, request: PolicyRequest) -> tuple[str, ...]:
    """Sentences for the dialog that say why the person is asked."""
    if decision.asked_by:
        return (_RISKS[request.risk], f"{_named(decision.asked_by).capitalize()} wants it asked.")
    return (_RISKS[request.risk], "No rule lets it pass without asking.")
