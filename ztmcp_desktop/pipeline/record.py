"""What of a call is written to the ledger: masked, without secrets, and without the pinned item."""

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject, canonical
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.offer import Pin
from ztmcp_desktop.domain.proof import Proof
from ztmcp_desktop.ports import Redact

MAX_RECORDED_BYTES = 48 * 1024
MAX_SUBJECT_CHARS = 4096
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

    def opened(self, call: Call) -> Draft:
        """The row before anything is done."""
        body = {
            "arguments": self._bounded("arguments", call.arguments),
            "era": call.era.value,
            "direction": call.direction.value,
        }
        return self._draft(EntryKind.OPENED, call, body)

    def closed(self, call: Call, denial: Denial | None, duration_ms: int) -> Draft:
        """The row that ends the call, with all that was proved about it."""
        # All at once: what is looked through together costs one pass.
        proofs = self._redact({"proofs": [_stated(proof) for proof in call.proofs]})
        body: JsonObject = {**proofs, "duration_ms": duration_ms}
        if denial is None:
            body["result"] = self._result(call)
            return self._draft(EntryKind.CLOSED, call, body, outcome=Outcome.ALLOWED)
        body["reason"] = denial.reason
        outcome = Outcome.FAILED if denial.code in _FAILURES else Outcome.DENIED
        return self._draft(EntryKind.CLOSED, call, self._redact(body), outcome=outcome, code=denial.code)

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
        return self._draft(EntryKind.NOTICE, call, {"arguments": self._bounded("arguments", call.arguments)})

    def _result(self, call: Call) -> JsonObject:
        return {} if call.reply is None else self._bounded("result", call.reply.body)

    def _bounded(self, purpose: str, value: JsonObject) -> JsonObject:
        """`value` redacted; size and digest of what is too large for a row, and would take seconds to look through."""
        encoded = canonical(value)
        if len(encoded) > MAX_RECORDED_BYTES:
            return {"size_bytes": len(encoded), "digest": self._digester.of_encoded(purpose, encoded)}
        return self._redact(value)

    def _draft(
        self, kind: EntryKind, call: Call, body: JsonObject, *, outcome: Outcome | None = None, code: Code | None = None
    ) -> Draft:
        masked = self._redact({"subject": _short(call.subject), "method": _short(call.method)})
        return Draft(
            kind=kind,
            call=call.id,
            client=call.principal.client,
            server=call.server,
            method=masked["method"],
            subject=masked["subject"],
            outcome=outcome,
            code=code,
            body=body,
        )


def _stated(proof: Proof) -> JsonObject:
    # What `dataclasses.fields` reads, without the list that it makes of it each time.
    stated = {name: _plain(getattr(proof, name)) for name in proof.__dataclass_fields__}
    return {"proof": type(proof).__name__, **stated}


def _short(text: str) -> str:
    """A name as it is, unless it is none that anybody would read."""
    return text if len(text) <= MAX_SUBJECT_CHARS else f"({len(text)} characters)"


def _plain(value: object) -> object:
    match value:
        case Pin(digest=digest):
            return digest
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value
