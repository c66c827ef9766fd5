"""Rules about content: they may rest on the sensitive data in the arguments, or on the signs in an answer."""

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.pipeline.judge import policy_request
from ztmcp_desktop.pipeline.mask_arguments import Treatment
from ztmcp_desktop.ports import Clock, PolicyBook


class ContentRules:
    """Asks the rules again, now that the content is known. They can only become stricter."""

    def __init__(self, policy: PolicyBook, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    def treat(self, call: Call, kinds: tuple[str, ...]) -> Treatment:
        """Whether the arguments may leave with sensitive data of these kinds in them, and without asking."""
        request = policy_request(call, self._clock.now(), sensitive=kinds)
        decision = self._policy.decide(request)
        if not decision.permitted:
            return Treatment.BLOCK
        return Treatment.PASS if decision.unasked else Treatment.ASK

    def blocks(self, call: Call, signs: tuple[str, ...]) -> bool:
        """Whether an answer with these signs is kept from the client."""
        return not self._policy.decide(policy_request(call, self._clock.now(), signs=signs)).permitted
