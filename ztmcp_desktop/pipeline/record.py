"""What of a call is written to the ledger: masked, without secrets, and without the pinned item."""

from dataclasses import replace

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.caller import Caller, caller_json
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.offer import Pin
from ztmcp_desktop.domain.proof import Proof
from ztmcp_desktop.ports import Redact
from ztmcp_desktop.scan.size import size_of

MAX_RECORDED_BYTES = 48 * 1024
MAX_SUBJECT_CHARS = 4096
MAX_CALLERS = 256
_OF_FILES = frozenset({"pid", "sha256", "script_sha256"})
_UNBOUNDED = ("arguments", "result")
# Measures and labels of our own. A keyed digest tells nothing, and its digits must stay even where they look like
# somebody's number.
_OURS = frozenset({"pin", "digest", "kinds", "risk", "asking", "by", "asked_ms", "duration_ms", "size_bytes"})
_FAILURES = frozenset(
    {
        Code.SERVER_UNAVAILABLE,
        Code.TOO_SLOW,
        Code.TOO_LARGE,
        Code.GATEWAY_FAULT,
        Code.WITHDRAWN,
        Code.INTERRUPTED,
    }
)


class Recorder:
    """Makes the rows of a call. Everything that leaves here has been through `redact`."""

    def __init__(self, redact: Redact, digester: Digester) -> None:
        self._redact = redact
        self._digester = digester
        self._callers: dict[Caller, JsonObject] = {}

    def opened(self, call: Call) -> Draft:
        """The row before anything is done."""
        ours = {"era": call.era.value, "direction": call.direction.value, "caller": self._caller(call.caller)}
        if call.claimed:
            return self._draft(EntryKind.OPENED, call, {"arguments": call.arguments, "claimed": call.claimed}, ours)
        return self._draft(EntryKind.OPENED, call, {"arguments": call.arguments}, ours)

    def closed(self, call: Call, denial: Denial | None, duration_ms: int) -> Draft:
        """The row that ends the call, with all that was proved about it."""
        stated = [_stated(proof) for proof in call.proofs]
        brought: JsonObject = {"proofs": [theirs for _, theirs in stated]}
        if denial is None:
            brought["result"] = {} if call.reply is None else call.reply.body
            outcome, code = Outcome.ALLOWED, None
        else:
            brought["reason"] = denial.reason
            outcome, code = Outcome.FAILED if denial.code in _FAILURES else Outcome.DENIED, denial.code
        draft = self._draft(EntryKind.CLOSED, call, brought, {"duration_ms": duration_ms}, outcome=outcome, code=code)
        proofs = [{**ours, **masked} for (ours, _), masked in zip(stated, draft.body["proofs"], strict=True)]
        return replace(draft, body={**draft.body, "proofs": proofs})

    def bare(self, call: Call, denial: Denial, duration_ms: int) -> Draft:
        """The row that ends a call whose full ending cannot be written: why, and nothing that the call brought."""
        return Draft(
            kind=EntryKind.CLOSED,
            call=call.id,
            client=call.principal.client,
            server=call.server,
            outcome=Outcome.FAILED,
            code=denial.code,
            body={"reason": denial.reason, "duration_ms": duration_ms},
        )

    def refused(self, call: Call, code: Code) -> Draft:
        """What is counted where a call does not even come to the gate."""
        return Draft(
            kind=EntryKind.REJECTED,
            client=call.principal.client,
            server=call.server,
            outcome=Outcome.DENIED,
            code=code,
        )

    def notice(self, call: Call) -> Draft:
        """The one row of a notification."""
        return self._draft(EntryKind.NOTICE, call, {"arguments": call.arguments}, {"direction": call.direction.value})

    def _draft(  # noqa: PLR0913 - the parts of a row
        self,
        kind: EntryKind,
        call: Call,
        brought: JsonObject,
        ours: JsonObject,
        *,
        outcome: Outcome | None = None,
        code: Code | None = None,
    ) -> Draft:
        """`brought` came with the call or its answer, and is redacted; `ours` and the digests are as they are."""
        large = {name: found for name in _UNBOUNDED if (found := self._too_large(name, brought.get(name))) is not None}
        kept = {name: value for name, value in brought.items() if name not in large}
        # All at once: what is looked through together costs one pass.
        masked = self._redact({"subject": _short(call.subject), "method": _short(call.method), "body": kept})
        return Draft(
            kind=kind,
            call=call.id,
            client=call.principal.client,
            server=call.server,
            method=masked["method"],
            subject=masked["subject"],
            outcome=outcome,
            code=code,
            body={**masked["body"], **large, **ours},
        )

    def _caller(self, caller: Caller) -> JsonObject:
        """Its words redacted, once for all calls of a connection; hashes and numbers of processes as they are."""
        if caller not in self._callers:
            if len(self._callers) >= MAX_CALLERS:
                self._callers.clear()
            told = caller_json(caller)
            words = {key: value for key, value in told.items() if key not in _OF_FILES}
            self._callers[caller] = {**told, **self._redact(words)}
        return self._callers[caller]

    def _too_large(self, purpose: str, value: Json) -> JsonObject | None:
        """Size and digest of what is too large for a row, and would take seconds to look through; else None."""
        size_bytes = 0 if value is None else size_of(value)
        if size_bytes <= MAX_RECORDED_BYTES:
            return None
        return {"size_bytes": size_bytes, "digest": self._digester.of(purpose, value)}


def _stated(proof: Proof) -> tuple[JsonObject, JsonObject]:
    """What a proof says: what is ours, and what may hold something of the call and is to be redacted."""
    ours: JsonObject = {"proof": type(proof).__name__}
    brought: JsonObject = {}
    for name in proof.__dataclass_fields__:
        value = getattr(proof, name)
        if name in _OURS or not value:
            ours[name] = _plain(value)
        else:
            brought[name] = _plain(value)
    return ours, brought


def _short(text: str) -> str:
    """A name as it is, unless it is none that anybody would read."""
    return text if len(text) <= MAX_SUBJECT_CHARS else f"({len(text)} characters)"


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.digest if isinstance(value, Pin) else value
