"""What the rules are asked, and what they say."""

from dataclasses import dataclass
from datetime import datetime

from ztmcp_desktop.domain.names import ClientName, RuleId, ServerName
from ztmcp_desktop.domain.offer import ItemKind
from ztmcp_desktop.domain.risk import Action, Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """One question to the rules (contract, Rules). `kind` None means the server itself is the resource."""

    client: ClientName
    action: Action
    server: ServerName
    kind: ItemKind | None
    subject: str
    risk: Risk
    paths: tuple[str, ...]
    hosts: tuple[str, ...]
    tables: tuple[str, ...]
    sensitive: tuple[str, ...]
    signs: tuple[str, ...]
    session: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`permitted`: may it be done at all. `unasked`: may it be done without asking; never true unless permitted.

    `forbidden` tells a rule's no from the absence of a yes. `rules` decided the outcome. `asked_by` are rules that
    forbid doing it without asking, empty where merely none permits it.
    """

    permitted: bool
    unasked: bool
    forbidden: bool
    rules: tuple[RuleId, ...]
    asked_by: tuple[RuleId, ...] = ()
