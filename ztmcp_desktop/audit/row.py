"""A row of the ledger: how a draft becomes one, and the hash that chains it to the row before."""

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject, canonical
from ztmcp_desktop.domain.ledger import Draft, Entry, EntryKind

FIRST_PREV = "0" * 64
MAX_TEXT = 256
MAX_BODY_BYTES = 64 * 1024
CUT = "ztmcp/cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The columns of the table `entries` as they are stored: one integer, the rest text."""

    seq: int
    at: str
    call: str
    kind: str
    client: str
    server: str
    method: str
    subject: str
    outcome: str
    code: str
    body: str
    prev: str
    hash: str

    def values(self) -> tuple[int | str, ...]:
        """The columns in their order in the table."""
        found: tuple[int | str, ...] = _VALUES(self)
        return found

    def sound(self) -> bool:
        """Whether each column has its type, which SQLite does not see to."""
        return type(self.seq) is int and all(isinstance(getattr(self, name), str) for name in COLUMNS if name != "seq")

    def entry(self) -> Entry:
        """The row for a reader."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        return Entry(**{**columns, "at": datetime.fromisoformat(self.at), "kind": EntryKind(self.kind)})


_RFC8785 = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
COLUMNS = tuple(field.name for field in fields(Row))
_VALUES = attrgetter(*COLUMNS)


def digest_of(row: Row) -> str:
    """SHA-256 of the RFC 8785 JSON of all columns but `hash`, hexadecimal.

    For an object of ASCII keys, short integers and text the standard library writes RFC 8785, 50 times faster than
    the `rfc8785` package; a test holds the two side by side.
    """
    return _digest(dict(zip(COLUMNS, row.values(), strict=True)))


def _digest(columns: JsonObject) -> str:
    encoded = _RFC8785.encode({name: value for name, value in columns.items() if name != "hash"})
    return hashlib.sha256(encoded.encode("utf-8", "surrogatepass")).hexdigest()


def prepare(draft: Draft, at: datetime, digester: Digester) -> Row:
    """The row of a draft, still without its place in the chain.

    Raises:
        Denial: the body is no JSON (`gateway-fault`).
    """
    return Row(
        seq=0,
        at=at.astimezone(UTC).isoformat(timespec="microseconds"),
        call=_cut(draft.call or ""),
        kind=draft.kind.value,
        client=_cut(draft.client),
        server=_cut(draft.server),
        method=_cut(draft.method),
        subject=_cut(draft.subject),
        outcome=draft.outcome.value if draft.outcome else "",
        code=draft.code.value if draft.code else "",
        body=_body(draft.body, digester),
        prev="",
        hash="",
    )


def chain(row: Row, prev: str, seq: int) -> Row:
    """The row in its place after the row whose hash is `prev`."""
    columns: JsonObject = dict(zip(COLUMNS, row.values(), strict=True)) | {"seq": seq, "prev": prev}
    columns["hash"] = _digest(columns)
    return Row(**columns)


def _cut(text: str) -> str:
    # A lone surrogate, which JSON can carry, cannot be stored as UTF-8.
    return text[:MAX_TEXT] if text.isascii() else text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _body(body: JsonObject, digester: Digester) -> str:
    """Canonical JSON of at most 64 KiB; the largest members give way to a keyed digest and their size."""
    try:
        kept = dict(body)
        encoded = canonical(kept)
        sizes = {name: len(canonical(value)) for name, value in kept.items()} if len(encoded) > MAX_BODY_BYTES else {}
        for name in sorted(sizes, key=lambda name: -sizes[name]):
            kept[name] = _stand_in(kept[name], sizes[name], digester)
            encoded = canonical(kept)
            if len(encoded) <= MAX_BODY_BYTES:
                break
        else:
            if sizes:
                encoded = canonical(_stand_in(body, sum(sizes.values()), digester))
    except (ValueError, TypeError, RecursionError) as error:
        raise Denial(Code.GATEWAY_FAULT, "the call cannot be put on record, because it is no JSON") from error
    return encoded.decode("ascii")


def _stand_in(value: object, size_bytes: int, digester: Digester) -> JsonObject:
    return {CUT: {"digest": digester.of("ledger-body", value), "size_bytes": size_bytes}}
