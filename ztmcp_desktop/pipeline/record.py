"""What of a call is written to the ledger: masked, without secrets, and without the pinned item."""

from dataclasses import fields

from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind, Outcome
from ztmcp_desktop.domain.offer import Pin
from ztmcp_desktop.domain.proof import Forwarded, Proof
from ztmcp_desktop.ports import Redact

MAX_RECORDED_BYTES = 48 * 1024
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
        body = {"arguments": self._redact(call.arguments), "era": call.era.value, "direction": call.direction.value}
        return self._draft(EntryKind.OPENED, call, body)

    def closed(self, call: Call, denial: Denial | None, duration_ms: int) -> Draft:
        """The row that ends the call, with all that was proved about it."""
        body: JsonObject = {"proofs": [self._proof(proof) for proof in call.proofs], "duration_ms": duration_ms}
        if denial is None:
            body["result"] = self._result(call)
            return self._draft(EntryKind.CLOSED, call, body, outcome=Outcome.ALLOWED)
        body["reason"] = denial.reason
        outcome = Outcome.FAILED if denial.code in _FAILURES else Outcome.DENIED
        return self._draft(EntryKind.CLOSED, call, self._redact(body), outcome=outcome, code=denial.code)

    def notice(self, call: Call) -> Draft:
        """The one row of a notification."""
        return self._draft(EntryKind.NOTICE, call, {"arguments": self._redact(call.arguments)})

    def _result(self, call: Call) -> JsonObject:
        if call.reply is None:
            return {}
        sizes = [proof.size_bytes for proof in call.proofs if isinstance(proof, Forwarded)]
        if sizes and sizes[-1] > MAX_RECORDED_BYTES:
            return {"size_bytes": sizes[-1], "digest": self._digester.of("result", call.reply.body)}
        return self._redact(call.reply.body)

    def _proof(self, proof: Proof) -> JsonObject:
        stated = {field.name: _plain(getattr(proof, field.name)) for field in fields(proof)}
        return self._redact({"proof": type(proof).__name__, **stated})

    def _draft(
        self, kind: EntryKind, call: Call, body: JsonObject, *, outcome: Outcome | None = None, code: Code | None = None
    ) -> Draft:
        masked = self._redact({"subject": call.subject, "method": call.method})
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


def _plain(value: object) -> object:
    match value:
        case Pin(digest=digest):
            return digest
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value
