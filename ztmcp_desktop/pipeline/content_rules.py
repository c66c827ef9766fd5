"""Rules about content: a forbid may rest on the sensitive data in the arguments, or on the signs in an answer."""

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.pipeline.judge import policy_request
from ztmcp_desktop.pipeline.mask_arguments import Treatment
from ztmcp_desktop.ports import Clock, PolicyBook


class ContentRules:
    """Asks the rules again, now that the content is known; only a forbid changes anything."""

    def __init__(self, policy: PolicyBook, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    def treat(self, call: Call, kinds: tuple[str, ...]) -> Treatment:
        """Whether the arguments may leave with sensitive data of these kinds in them."""
        request = policy_request(call, self._clock.now(), sensitive=kinds)
        return Treatment.PASS if self._policy.decide(request).permitted else Treatment.BLOCK

    def blocks(self, call: Call, signs: tuple[str, ...]) -> bool:
        """Whether an answer with these signs is kept from the client."""
        return not self._policy.decide(policy_request(call, self._clock.now(), signs=signs)).permitted
