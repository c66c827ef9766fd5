"""What would become of one call, by the very stages that a real one goes through before the person is asked."""

from typing import Any

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.domain.call import Call, needed_right
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId, ClientName, ServerName, SessionId
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.proof import Authenticated, Classified
from ztmcp_desktop.pipeline.back_channel import NoChannel
from ztmcp_desktop.pipeline.classify import Classify
from ztmcp_desktop.pipeline.confine import Confine
from ztmcp_desktop.pipeline.identify import Identify
from ztmcp_desktop.pipeline.judge import policy_request
from ztmcp_desktop.pipeline.restore import Restore
from ztmcp_desktop.pipeline.schema import Schemas
from ztmcp_desktop.pipeline.surrogates import Surrogates


async def explain(
    parts: PlaneParts, client: ClientName, server: ServerName, tool: str, given: JsonObject
) -> JsonObject:
    """How a call of `tool` would end, or that the person would be asked; `code` and `reason` where it is refused.

    Raises:
        Denial: there is no such client, server or tool, or the rules cannot be used.
    """
    known = next((one for one in parts.clients.all() if one.name == client), None)
    if known is None:
        raise Denial(Code.NOT_PERMITTED, f"there is no client {client}; see: ztmcp client list")
    parts.configuration.get(server)
    call = Call(
        id=CallId("explain"),
        at=parts.clock.now(),
        principal=Principal(
            client=client, token=known.token, session=SessionId("explain"), rights=known.rights_at(server)
        ),
        server=server,
        method="tools/call",
        params={"name": tool, "arguments": given},
        era=Era.MODERN,
        channel=NoChannel(),
    )
    call = await Identify(parts.catalogue)(call.proved(Authenticated(client=client, server=server)))
    call = await Classify()(call)
    if server not in known.servers:
        refusal = Denial(Code.UNAUTHENTICATED, f"the token of {client} is not for {server}")
        return _refused(call, refusal)
    if known.expires <= parts.clock.now():
        return _refused(call, Denial(Code.UNAUTHENTICATED, f"the token of {client} has expired"))
    if needed_right(call.method) not in call.principal.rights:
        return _refused(call, Denial(Code.NOT_PERMITTED, f"the token of {client} may only look at what {server} has"))
    try:
        call = await Restore(Surrogates(), Schemas())(call)
        call = await Confine(parts.configuration, parts.home.folders(), parts.user_home)(call)
    except Denial as denial:
        return _refused(call, denial)
    decision = parts.rules.explain(policy_request(call, parts.clock.now())).decision
    return _answer(
        call,
        permitted=decision.permitted,
        asked=decision.permitted and not decision.unasked,
        forbidden=decision.forbidden,
        rules=list(decision.rules),
    )


def _refused(call: Call, denial: Denial) -> JsonObject:
    return _answer(call, code=denial.code.value, reason=denial.reason)


def _answer(call: Call, **found: Any) -> JsonObject:  # noqa: ANN401 - JSON values
    classified = call.proof(Classified)
    return {
        "permitted": False,
        "asked": False,
        "forbidden": False,
        "rules": [],
        "code": None,
        "reason": "",
        **found,
        "risk": classified.risk.value,
        "signs": list(classified.signs),
    }
