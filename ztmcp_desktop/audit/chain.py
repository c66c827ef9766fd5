"""Whether a chain of rows holds, and which is the first that does not. Pure: rows in, a verdict out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ztmcp_desktop.audit.head import Head
from ztmcp_desktop.audit.row import FIRST_PREV, Row, digest_of
from ztmcp_desktop.domain.ledger import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What was signed: the head, its copy outside, and the checkpoint that a pruned ledger begins after."""

    head: Head | None
    copy: Head | None
    base: Head | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    seq: int
    reason: str


def verify(rows: Iterable[Row], marks: Marks, key: Ed25519PublicKey) -> Verification:
    """Check every row, the order, the signed head and the copy outside.

    Each row vouches for the one before, and the signed head for the last; so where two rows do not fit together, the
    one that its successor does vouch for is taken to be right, and the other is named.
    """
    trusted = Marks(
        head=marks.head if marks.head and marks.head.genuine(key) else None,
        copy=marks.copy if marks.copy and marks.copy.genuine(key) else None,
        base=marks.base,
    )
    walk = _Walk(trusted)
    fault = walk.first_fault(rows) or _marks_fault(marks, key)
    last = walk.last_seq
    copied = marks.copy.seq if marks.copy else 0
    return Verification(
        rows=walk.count,
        bad_seq=(fault.seq or max(last, 1)) if fault else None,
        beyond_head=max(last - max(copied, marks.base.seq if marks.base else 0), 0),
        reason=fault.reason if fault else "",
    )


def _marks_fault(marks: Marks, key: Ed25519PublicKey) -> _Fault | None:
    if marks.base is not None and not marks.base.genuine(key):
        return _Fault(seq=marks.base.seq + 1, reason="the checkpoint before the first row is not signed by us")
    if marks.head is None or not marks.head.genuine(key):
        return _Fault(seq=marks.head.seq if marks.head else 0, reason="the head is not signed by us")
    if marks.copy is None:
        return _Fault(seq=0, reason="the copy of the head outside the ledger is missing")
    if not marks.copy.genuine(key):
        return _Fault(seq=0, reason="the copy of the head outside the ledger is not signed by us")
    if marks.copy.seq == marks.head.seq and marks.copy.hash != marks.head.hash:
        return _Fault(seq=marks.head.seq, reason="the head and its copy outside the ledger are of two ledgers")
    return None


class _Walk:
    def __init__(self, marks: Marks) -> None:
        self._signed = {mark.seq: mark.hash for mark in (marks.copy, marks.head) if mark}
        self._marks = marks
        self._base = marks.base
        self.last_seq = marks.base.seq if marks.base else 0
        self.count = 0

    def first_fault(self, rows: Iterable[Row]) -> _Fault | None:
        prev = self._base.hash if self._base else FIRST_PREV
        for row, after in _pairs(rows):
            expected = self.last_seq + 1
            fault = self._row_fault(row, after, expected, prev)
            if fault:
                return fault
            self.last_seq, prev = row.seq, row.hash
            self.count += 1
        return self._end_fault(prev)

    def _row_fault(self, row: Row, after: Row | None, expected: int, prev: str) -> _Fault | None:
        if not row.sound():
            return _Fault(seq=expected, reason=f"row {expected} was altered")
        if row.seq != expected:
            return _Fault(seq=expected, reason=f"row {expected} is missing")
        if digest_of(row) != row.hash:
            if _was(row, row.seq - 1):
                return _Fault(seq=row.seq - 1, reason=f"row {row.seq - 1} was put in")
            return _Fault(seq=row.seq, reason=f"row {row.seq} was altered")
        return self._link_fault(row, after, prev)

    def _link_fault(self, row: Row, after: Row | None, prev: str) -> _Fault | None:
        head = self._marks.head
        if row.prev != prev:
            vouched = row.hash in {after.prev if after else "", self._signed.get(row.seq, "")}
            bad = row.seq - 1 if vouched and self.count else row.seq
            return _Fault(seq=bad, reason=f"row {row.seq} was not written after the row that stands before it")
        if self._signed.get(row.seq, row.hash) != row.hash:
            return _Fault(seq=row.seq, reason=f"row {row.seq} is not the one that was signed")
        if head and row.seq > head.seq:
            return _Fault(seq=row.seq, reason=f"row {row.seq} was put in after the signed head")
        return None

    def _end_fault(self, prev: str) -> _Fault | None:
        head, copy = self._marks.head, self._marks.copy
        reach = max((mark.seq for mark in (head, copy) if mark), default=0)
        if reach > self.last_seq:
            return _Fault(seq=self.last_seq + 1, reason=f"the rows from {self.last_seq + 1} to {reach} are missing")
        if head and head.seq == self.last_seq and head.hash != prev:
            return _Fault(seq=self.last_seq, reason=f"row {self.last_seq} is not the one that was signed")
        return None


def _was(row: Row, seq: int) -> bool:
    return digest_of(replace(row, seq=seq)) == row.hash


def _pairs(rows: Iterable[Row]) -> Iterator[tuple[Row, Row | None]]:
    iterator = iter(rows)
    row = next(iterator, None)
    while row is not None:
        after = next(iterator, None)
        yield row, after
        row = after
