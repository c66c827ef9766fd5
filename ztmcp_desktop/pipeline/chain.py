"""The order of the stages, built in one place. The order is an argument: see the comments."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.caller import Caller
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import CallId, ServerName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.pipeline.authenticate import Authenticate
from ztmcp_desktop.pipeline.back_channel import NoChannel, WithMaskedChannel
from ztmcp_desktop.pipeline.classify import Classify
from ztmcp_desktop.pipeline.confine import Confine
from ztmcp_desktop.pipeline.consent import Consent, ConsentParts
from ztmcp_desktop.pipeline.content_rules import ContentRules
from ztmcp_desktop.pipeline.forward import AnswerFromCatalogue, Forward, ForwardToClient
from ztmcp_desktop.pipeline.gate import ON_RECORD, CallGate, Chains
from ztmcp_desktop.pipeline.identify import Identify
from ztmcp_desktop.pipeline.inject import Inject
from ztmcp_desktop.pipeline.input_requests import InputRequests
from ztmcp_desktop.pipeline.judge import Judge
from ztmcp_desktop.pipeline.listen import Listen
from ztmcp_desktop.pipeline.mask_arguments import MaskArguments
from ztmcp_desktop.pipeline.mask_result import MaskResult
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.notices import Notices
from ztmcp_desktop.pipeline.outward import Outward
from ztmcp_desktop.pipeline.recheck import Recheck
from ztmcp_desktop.pipeline.record import Recorder
from ztmcp_desktop.pipeline.restore import Restore
from ztmcp_desktop.pipeline.schema import Schemas
from ztmcp_desktop.pipeline.screen import Screen
from ztmcp_desktop.pipeline.surrogates import Surrogates
from ztmcp_desktop.pipeline.vet import Vet
from ztmcp_desktop.ports import (
    Catalogue,
    ClientBook,
    Clock,
    ConsentDesk,
    GrantBook,
    Ledger,
    Lists,
    Lockdown,
    PolicyBook,
    Redact,
    ServerBook,
    Upstreams,
    Vault,
)
from ztmcp_desktop.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineParts:
    """All that the pipeline needs of the world."""

    clients: ClientBook
    catalogue: Catalogue
    servers: ServerBook
    policy: PolicyBook
    grants: GrantBook
    vault: Vault
    upstreams: Upstreams
    lists: Lists
    desk: ConsentDesk
    ledger: Ledger
    lockdown: Lockdown
    redact: Redact
    digester: Digester
    clock: Clock
    settings: Settings
    own_folders: tuple[Path, ...]
    user_home: Path


class Pipeline:
    """Implements `ports.Gate`; `calls` is the gate itself, for lockdown and revocation."""

    def __init__(  # noqa: PLR0913 - its parts, made once
        self,
        *,
        calls: CallGate,
        notices: Notices,
        outward: Outward,
        upstreams: Upstreams,
        surrogates: Surrogates,
        clock: Clock,
    ) -> None:
        self.calls = calls
        self._outward = outward
        self.surrogates = surrogates
        self._notices = notices
        self._upstreams = upstreams
        self._clock = clock

    async def run(self, call: Call) -> Reply:
        return await self.calls.run(call)

    async def notice(
        self, principal: Principal, server: ServerName, method: str, params: JsonObject | None, caller: Caller
    ) -> None:
        call = Call(
            id=CallId(uuid4().hex),
            at=self._clock.now(),
            principal=principal,
            server=server,
            method=method,
            params=params or {},
            era=Era.LEGACY,
            channel=NoChannel(),
            caller=caller,
        )
        try:
            await self._notices.pass_on(call, self._upstreams)
        except Denial:
            return

    async def tell(self, call: Call, plain: frozenset[str]) -> JsonObject | None:
        return await self._outward.cleaned(call, plain)


def build_pipeline(parts: PipelineParts) -> Pipeline:
    """Every stage, once, in its place."""
    surrogates, schemas = Surrogates(), Schemas()
    masker, content = Masker(surrogates), ContentRules(parts.policy, parts.clock)
    recorder = Recorder(parts.redact, parts.digester)
    authenticate, identify = Authenticate(parts.clients), Identify(parts.catalogue)
    confine = Confine(parts.servers, parts.own_folders, parts.user_home)
    classify, judge = Classify(), Judge(parts.policy, parts.clock)
    mask_arguments, consent = MaskArguments(masker, content.treat), Consent(_consent_parts(parts))
    # Rules about content may have changed as well as those about the call.
    recheck = Recheck(authenticate, identify, confine, judge, mask_arguments)
    input_requests, listen = InputRequests(parts.clock), Listen(parts.upstreams, parts.clock)
    chains = Chains(
        full=(
            authenticate,
            identify,
            # First, or a surrogate could carry past confine what confine would refuse.
            Restore(surrogates, schemas, identify),
            classify,
            # Before masking, because masking may hide what a rule needs.
            confine,
            judge,
            # Before consent, so that the person sees what will leave.
            mask_arguments,
            # Up to here the call was only looked at; from here on somebody is asked, and something sent.
            ON_RECORD,
            consent,
            recheck,
            # After consent, so that no secret is ever on a screen or in a proof.
            Inject(parts.vault, parts.servers, parts.upstreams, parts.digester),
            WithMaskedChannel(masker, parts.servers),
            Forward(parts.upstreams, parts.clock),
            Screen(content.blocks),
            MaskResult(masker, parts.servers, schemas),
            # Last, so that what is asked of the client is judged as the client will see it.
            input_requests,
        ),
        listing=(authenticate, identify, judge, ON_RECORD, AnswerFromCatalogue(parts.lists)),
        standing=(authenticate, identify, judge, ON_RECORD, listen),
        to_client=(
            authenticate,
            identify,
            Vet(),
            classify,
            confine,
            judge,
            mask_arguments,
            ON_RECORD,
            consent,
            recheck,
            ForwardToClient(),
        ),
    )
    calls = CallGate(chains=chains, recorder=recorder, ledger=parts.ledger, lockdown=parts.lockdown, clock=parts.clock)
    input_requests.bind(calls.run)
    listen.bind(calls.run)
    notices = Notices(
        checks=(authenticate, identify, classify, confine, judge),
        recorder=recorder,
        masker=masker,
        ledger=parts.ledger,
        lockdown=parts.lockdown,
        clock=parts.clock,
    )
    outward = Outward(
        listing=(authenticate, identify, judge),
        others=(authenticate, identify, classify, confine, judge),
        blocks=content.blocks,
        masker=masker,
        servers=parts.servers,
        recorder=recorder,
        ledger=parts.ledger,
        lockdown=parts.lockdown,
    )
    return Pipeline(
        calls=calls,
        notices=notices,
        outward=outward,
        upstreams=parts.upstreams,
        surrogates=surrogates,
        clock=parts.clock,
    )


def _consent_parts(parts: PipelineParts) -> ConsentParts:
    return ConsentParts(
        desk=parts.desk,
        grants=parts.grants,
        servers=parts.servers,
        upstreams=parts.upstreams,
        clients=parts.clients,
        ledger=parts.ledger,
        lockdown=parts.lockdown,
        digester=parts.digester,
        clock=parts.clock,
        redact=parts.redact,
        settings=parts.settings,
    )
