import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.ledger_kit import KEY, Home, closed, draft, opened
from tests.fakes import START, make_digester
from ztmcp_desktop.audit.chain import Marks, verify
from ztmcp_desktop.audit.head import Head, sign
from ztmcp_desktop.audit.row import COLUMNS, FIRST_PREV, Row, chain, digest_of, prepare
from ztmcp_desktop.domain.ledger import EntryKind, Verification
from ztmcp_desktop.domain.sealed import Sealed

PUBLIC = KEY.open().public_key()
ROWS = 9
TEXT = st.text(max_size=40)


def make_chain(count: int = ROWS) -> list[Row]:
    rows, prev = [], FIRST_PREV
    for seq in range(1, count + 1):
        made = opened(f"c{seq // 2}") if seq % 2 else closed(f"c{seq // 2}")
        row = chain(prepare(made, START + timedelta(seconds=seq), make_digester()), prev, seq)
        rows.append(row)
        prev = row.hash
    return rows


def head_of(rows: list[Row], key: Sealed[Ed25519PrivateKey] = KEY) -> Head:
    return sign(key.open(), rows[-1].seq, rows[-1].hash) if rows else sign(key.open(), 0, FIRST_PREV)


def check(
    rows: list[Row], head: Head | None = None, copy: Head | None = None, base: Head | None = None
) -> Verification:
    head = head or head_of(rows)
    return verify(rows, Marks(head=head, copy=copy or head, base=base), PUBLIC)


def rechained(rows: list[Row], start: int) -> list[Row]:
    """The rows from index `start` on, chained and hashed anew, as one who knows the format would."""
    done = list(rows[:start])
    for row in rows[start:]:
        done.append(chain(row, done[-1].hash if done else FIRST_PREV, len(done) + 1))
    return done


@given(TEXT, TEXT, st.integers(1, 2**53 - 1))
def test_the_hash_is_that_of_the_rfc_8785_form(subject: str, value: str, seq: int) -> None:
    row = chain(
        prepare(draft(EntryKind.OPENED, "c", subject=subject, body={"v": value}), START, make_digester()),
        FIRST_PREV,
        seq,
    )

    columns = {name: getattr(row, name) for name in COLUMNS if name != "hash"}
    assert row.hash == hashlib.sha256(rfc8785.dumps(columns)).hexdigest()


def test_an_untouched_chain_holds() -> None:
    found = check(make_chain())
    assert (found.rows, found.bad_seq, found.beyond_head, found.reason) == (ROWS, None, 0, "")


def test_an_empty_ledger_holds() -> None:
    assert check([]).reason == ""


@pytest.mark.attack("P10")
@given(st.integers(0, ROWS - 1), st.sampled_from([name for name in COLUMNS if name != "seq"]))
def test_an_edited_row_is_named(at: int, column: str) -> None:
    rows = make_chain()
    head = head_of(rows)
    rows[at] = replace(rows[at], **{column: getattr(rows[at], column) + "0"})
    assert check(rows, head).bad_seq == at + 1


@pytest.mark.attack("P10")
@given(st.integers(0, ROWS - 1))
def test_an_edited_row_with_a_fresh_hash_is_named(at: int) -> None:
    rows = make_chain()
    head = head_of(rows)
    edited = replace(rows[at], subject="something else")
    rows[at] = replace(edited, hash=digest_of(edited))
    assert check(rows, head).bad_seq == at + 1


@pytest.mark.attack("P10")
@given(st.integers(0, ROWS - 1))
def test_a_deleted_row_is_named(at: int) -> None:
    rows = make_chain()
    head = head_of(rows)
    del rows[at]
    assert check(rows, head).bad_seq == at + 1


@pytest.mark.attack("P10")
@given(st.integers(0, ROWS - 2))
def test_two_rows_in_each_others_place_are_named(at: int) -> None:
    rows = make_chain()
    head = head_of(rows)
    rows[at], rows[at + 1] = replace(rows[at + 1], seq=at + 1), replace(rows[at], seq=at + 2)
    assert check(rows, head).bad_seq == at + 1


@pytest.mark.attack("P10")
@given(st.integers(1, ROWS - 1))
def test_a_row_put_in_is_named(at: int) -> None:
    rows = make_chain()
    head = head_of(rows)
    forged = chain(prepare(closed("forged"), START, make_digester()), rows[at - 1].hash, at + 1)
    rows[at:] = [forged, *(replace(row, seq=row.seq + 1) for row in rows[at:])]
    assert check(rows, head).bad_seq == at + 1


@pytest.mark.attack("P10")
@given(st.integers(0, ROWS - 1))
def test_a_chain_written_anew_does_not_lead_to_the_signed_head(at: int) -> None:
    rows = make_chain()
    head = head_of(rows)
    rows[at] = replace(rows[at], subject="something else")
    assert check(rechained(rows, at), head).bad_seq == ROWS


@pytest.mark.attack("P10")
@given(st.integers(1, ROWS - 1))
def test_a_missing_end_is_named_even_with_the_head_of_that_time(kept: int) -> None:
    rows = make_chain()
    copy = head_of(rows)
    del rows[kept:]
    assert check(rows, copy).bad_seq == kept + 1
    assert check(rows, head_of(rows), copy).bad_seq == kept + 1


@pytest.mark.attack("P10")
def test_rows_after_the_signed_head_are_named() -> None:
    rows = make_chain()
    assert check(rows, head_of(rows[:5])).bad_seq == 6


@pytest.mark.attack("P10")
def test_a_head_of_another_key_is_refused() -> None:
    rows = make_chain()
    other = Ed25519PrivateKey.generate()
    forged = sign(other, rows[-1].seq, rows[-1].hash)
    assert check(rows, forged, head_of(rows)).bad_seq == ROWS
    assert check(rows, head_of(rows), forged).bad_seq == ROWS


@pytest.mark.attack("P10")
def test_a_checkpoint_cannot_be_a_head_nor_a_head_a_checkpoint() -> None:
    rows = make_chain()
    checkpoint = sign(KEY.open(), 4, rows[3].hash, "checkpoint")
    assert check(rows[4:], head_of(rows), base=checkpoint).reason == ""
    assert check(rows[4:], head_of(rows), base=replace(head_of(rows[:4]), purpose="checkpoint")).bad_seq is not None
    assert check(rows[:4], replace(checkpoint, purpose="head")).bad_seq is not None


@pytest.mark.attack("P10")
def test_a_checkpoint_of_other_rows_is_refused() -> None:
    rows = make_chain()
    assert check(rows[4:], head_of(rows), base=sign(KEY.open(), 4, rows[2].hash, "checkpoint")).bad_seq == 5


def test_rows_newer_than_the_copy_are_counted() -> None:
    rows = make_chain()
    found = check(rows, head_of(rows), head_of(rows[:6]))
    assert (found.bad_seq, found.beyond_head) == (None, 3)


@pytest.mark.attack("P10")
@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ("UPDATE entries SET outcome = 'denied' WHERE seq = 4", 4),
        ("UPDATE entries SET body = x'ff00' WHERE seq = 3", 3),
        ("UPDATE entries SET subject = CAST(x'ff' AS TEXT) WHERE seq = 3", 3),
        ("UPDATE entries SET seq = seq + 100 WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq > 6", 7),
        ("DELETE FROM entries", 1),
        ("DELETE FROM head", 8),
    ],
)
async def test_verify_names_what_another_program_did_to_the_file(tmp_path: Path, change: str, bad: int) -> None:
    home = Home(tmp_path)
    await home.fill(4)
    assert (await home.timeline().verify()).bad_seq is None
    home.sql(change)
    found = await home.timeline().verify()
    assert found.bad_seq == bad
    assert found.reason


@pytest.mark.attack("P10")
async def test_verify_misses_the_copy_outside(tmp_path: Path) -> None:
    home = Home(tmp_path)
    await home.fill(2)
    home.copy.unlink()
    assert "outside the ledger is missing" in (await home.timeline().verify()).reason
