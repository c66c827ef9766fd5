"""What the details of a call say: its stages as steps, in order, from the rows of the ledger."""

import json
from dataclasses import dataclass

from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.ledger import Entry
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.ui.shapes import Mark
from ztmcp_desktop.ui.timeline_words import reason_of

MAX_STEP = 300
_STEPS = {
    "Authenticated": "Token checked",
    "Identified": "Pin checked",
    "Restored": "Stand-ins turned back, schema fits",
    "Classified": "Risk judged",
    "Confined": "Inside the limits",
    "Vetted": "The question asks for no secret",
    "Judged": "Permitted by the rules",
    "MaskedArguments": "Arguments looked through",
    "Consented": "Consent",
    "Injected": "Secrets put in",
    "Forwarded": "Sent, and answered",
    "Screened": "Answer looked through",
    "MaskedResult": "Answer masked",
}
_FIELD_WORDS = {"duration_ms": "took (ms)", "size_bytes": "bytes", "asked_ms": "asked for (ms)"}


_SAID = frozenset({"because", "signs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage and what it established."""

    mark: Mark
    title: str
    text: str


def body_of(entry: Entry) -> JsonObject:
    """The row's body; what cannot be read is said and not hidden."""
    try:
        body = json.loads(entry.body)
    except ValueError:
        return {"unreadable": entry.body}
    return body if isinstance(body, dict) else {"body": body}


def steps_of(entries: tuple[Entry, ...]) -> tuple[Step, ...]:
    """The proofs in order, then the ending."""
    steps: list[Step] = []
    for entry in entries:
        body = body_of(entry)
        proofs = body.get("proofs")
        steps += [_step(proof) for proof in proofs if isinstance(proof, dict)] if isinstance(proofs, list) else []
        if entry.outcome in {"denied", "failed"}:
            mark = Mark.CROSS if entry.outcome == "denied" else Mark.BREAK
            reason = body.get("reason")
            text = visible(reason) if isinstance(reason, str) else ""
            steps.append(Step(mark=mark, title=f"Stopped: {reason_of(entry.code)}", text=text))
        elif entry.outcome == "allowed":
            steps.append(Step(mark=Mark.TICK, title="Allowed", text="the client got the answer"))
    return tuple(steps)


def _step(proof: JsonObject) -> Step:
    name = proof.get("proof", proof.get("name", ""))
    if "asked_ms" in proof and "by" in proof:
        name = "Consented"
    if name == "Injected" and not proof.get("names"):
        return Step(mark=Mark.TICK, title="No secret was needed", text="")
    told = [
        f"{_FIELD_WORDS.get(key, key.replace('_', ' '))}: {_sentences(value) if key in _SAID else _short(value)}"
        for key, value in proof.items()
        if key not in {"name", "proof"} and value not in ("", [], None, {})
    ]
    return Step(mark=Mark.TICK, title=_STEPS.get(str(name), visible(str(name))), text=" · ".join(told))


def _sentences(value: Json) -> str:
    """Whole sentences one after the other; a full stop is added where one is missing."""
    texts = [str(part).strip() for part in value] if isinstance(value, list) else [str(value).strip()]
    return _short(" ".join(text if text.endswith(".") else f"{text}." for text in texts if text))


def _short(value: Json) -> str:
    if isinstance(value, list):
        text = ", ".join(_short(part) for part in value)
    elif isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    text = visible(text).replace("\n", " ")
    return text if len(text) <= MAX_STEP else f"{text[:MAX_STEP]}… (+{len(text) - MAX_STEP} characters)"


def recorded(entries: tuple[Entry, ...], key: str) -> Json:
    """`arguments` or `result` as recorded; None where no row has it."""
    for entry in entries:
        body = body_of(entry)
        if key in body:
            return body[key]
    return None


def chain_of(entries: tuple[Entry, ...]) -> tuple[tuple[str, str], ...]:
    """Each row's place in the chain."""
    return tuple((f"row {entry.seq} {entry.kind.value}", f"hash {entry.hash}\nprev {entry.prev}") for entry in entries)


def as_text(entries: tuple[Entry, ...]) -> str:
    """All rows, as JSON for the clipboard."""
    rows = [
        {
            "seq": entry.seq,
            "at": entry.at.isoformat(),
            "kind": entry.kind.value,
            "call": entry.call,
            "client": entry.client,
            "server": entry.server,
            "method": entry.method,
            "subject": entry.subject,
            "outcome": entry.outcome,
            "code": entry.code,
            "body": body_of(entry),
            "prev": entry.prev,
            "hash": entry.hash,
        }
        for entry in entries
    ]
    return json.dumps(rows, indent=2, ensure_ascii=True)
