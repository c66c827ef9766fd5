import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing as closing_db
from pathlib import Path
from typing import Any

import pytest

from tests.audit.ledger_kit import Home, closed, draft, opened, until
from ztmcp_desktop.audit.row import CUT, FIRST_PREV, MAX_BODY_BYTES
from ztmcp_desktop.audit.store import MAX_GROUP
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.ledger import EntryKind, Filters, Outcome

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_rows_are_numbered_from_one_and_chained_from_zeros(home: Home) -> None:
    store = await home.open()
    assert [await store.append(opened("c1")), await store.append(closed("c1"))] == [1, 2]
    await store.close()
    first, second = home.sql("SELECT prev, hash FROM entries ORDER BY seq")
    assert first[0] == FIRST_PREV
    assert second[0] == first[1]


async def test_rows_that_wait_together_are_committed_in_order(home: Home) -> None:
    store = await home.open()
    numbers = await asyncio.gather(*(store.append(opened(f"c{n}")) for n in range(3 * MAX_GROUP)))
    await store.close()
    assert numbers == list(range(1, 3 * MAX_GROUP + 1))
    assert [row[0] for row in home.sql("SELECT call FROM entries ORDER BY seq")] == [
        f"c{n}" for n in range(len(numbers))
    ]
    assert (await home.timeline().verify()).reason == ""


@pytest.mark.attack("P10")
@pytest.mark.parametrize(
    "change", ["UPDATE entries SET code = ''", "DELETE FROM entries", "REPLACE INTO entries SELECT * FROM entries"]
)
async def test_the_table_refuses_to_be_changed(home: Home, change: str) -> None:
    await home.fill(1)
    with closing_db(sqlite3.connect(home.ledger)) as db:
        db.execute("PRAGMA recursive_triggers = ON")
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            db.execute(change)
    assert (await home.timeline().verify()).reason == ""


async def test_text_is_cut_and_what_utf8_cannot_hold_is_replaced(home: Home) -> None:
    store = await home.open()
    await store.append(draft(EntryKind.OPENED, "c1", subject="x" * 300, client="\ud800"))
    await store.close()
    assert home.sql("SELECT length(subject), client FROM entries") == [(256, "?")]


async def test_a_body_too_large_gives_way_to_a_digest_and_its_size(home: Home) -> None:
    store = await home.open()
    await store.append(closed("c1", risk="write", result="secret" * MAX_BODY_BYTES))
    row = (await home.timeline().entries("c1"))[0]
    item = (await home.timeline().page(Filters(), None, 1))[0]
    await store.close()
    assert len(row.body) <= MAX_BODY_BYTES
    assert CUT in row.body
    assert "secret" not in row.body
    assert item.risk == "write"


async def test_a_body_that_is_no_json_is_refused_and_the_next_row_is_not(home: Home) -> None:
    store = await home.open()
    with pytest.raises(Denial) as refused:
        await store.append(draft(EntryKind.OPENED, "c1", body={"arguments": float("nan")}))
    assert refused.value.code is Code.GATEWAY_FAULT
    assert await store.append(opened("c2")) == 1
    await store.close()


async def test_a_closed_ledger_refuses(home: Home) -> None:
    store = await home.open()
    await store.close()
    await store.close()
    with pytest.raises(Denial):
        await store.append(opened("c1"))
    assert home.count() == 0


@pytest.mark.attack("C12")
async def test_a_full_disk_refuses_and_a_freed_one_goes_on(home: Home) -> None:
    store = await home.open()
    await store.append(opened("c1"))
    connection = store._writer.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")

    async def fill() -> None:
        for number in range(100):
            await store.append(closed(f"d{number}", result=os.urandom(8000).hex()))

    with pytest.raises(Denial) as refused:
        await fill()
    assert refused.value.code is Code.GATEWAY_FAULT
    assert "full" in refused.value.reason
    written = home.count()
    connection.execute("PRAGMA max_page_count = 1000000")
    assert await store.append(closed("c1")) == written + 1
    await store.close()
    assert (await home.timeline().verify()).reason == ""


@pytest.mark.attack("C12")
async def test_a_really_full_file_system_refuses_and_loses_nothing(home: Home) -> None:
    code = """
import asyncio, resource, signal, sys, os
from pathlib import Path
from typing import Any
from tests.audit.ledger_kit import Home, closed
from ztmcp_desktop.domain.denial import Denial
async def main(folder):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = await Home(folder).open()
    done = await store.append(closed("first"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    refused = 0
    for number in range(200):
        try:
            done = await store.append(closed(f"c{number}", result=os.urandom(8000).hex()))
        except Denial:
            refused += 1
            if refused == 3:
                break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    after = await store.append(closed("last"))
    await store.close()
    print(refused, done, after)
asyncio.run(main(Path(sys.argv[1])))
"""
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, str(home.ledger.parent)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    refused, done, after = map(int, ran.stdout.split())
    assert refused == 3
    assert after == done + 1
    assert home.count() == after
    assert (await home.timeline().verify()).reason == ""


@pytest.mark.attack("C12")
async def test_a_locked_database_refuses_and_an_unlocked_one_goes_on(home: Home) -> None:
    store = await home.open()
    other = sqlite3.connect(home.ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Denial) as refused:
        await store.append(opened("c1"))
    assert "another program holds it" in refused.value.reason
    other.execute("ROLLBACK")
    other.close()
    assert await store.append(opened("c1")) == 1
    await store.close()


@pytest.mark.attack("P10")
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM entries WHERE seq = 4",
        "UPDATE head SET hash = 'f' WHERE id = 1",
        "CREATE TEMP TABLE t AS SELECT * FROM entries; UPDATE t SET seq = seq + 4; INSERT INTO entries SELECT * FROM t",
    ],
)
async def test_a_ledger_changed_under_us_refuses_the_next_row(home: Home, change: str) -> None:
    await home.fill(2)
    store = await home.open()
    home.sql(change)
    before = home.count()
    with pytest.raises(Denial) as refused:
        await store.append(opened("c9"))
    assert refused.value.code is Code.GATEWAY_FAULT
    assert home.count() == before
    await store.close()


async def test_a_ledger_file_taken_away_refuses(home: Home) -> None:
    store = await home.open()
    home.ledger.rename(home.ledger.with_name("elsewhere"))
    with pytest.raises(Denial, match="taken away"):
        await store.append(opened("c1"))
    await store.close()


@pytest.mark.allow_log("copy of the ledger's head cannot be written")
async def test_a_head_that_cannot_be_copied_refuses_until_it_can(home: Home) -> None:
    store = await home.open()
    new = home.copy.with_name(f".{home.copy.name}.{os.getpid()}.new")
    new.mkdir()
    await store.append(opened("c1"))
    await until(lambda: store._writer._copy_failed)
    with pytest.raises(Denial, match="copy of the ledger's head"):
        await store.append(closed("c1"))
    new.rmdir()
    assert await store.append(closed("c1")) == 2
    await store.close()


@pytest.mark.attack("N11")
@pytest.mark.parametrize("name", ["ledger", "copy"])
async def test_a_link_in_the_place_of_our_files_is_refused(home: Home, tmp_path: Path, name: str) -> None:
    aim = tmp_path / "aim"
    aim.write_bytes(b"")
    aim.chmod(0o600)
    getattr(home, name).symlink_to(aim)
    with pytest.raises(Denial, match="symbolic link"):
        await home.open()
    assert aim.read_bytes() == b""


@pytest.mark.attack("N11")
async def test_a_ledger_that_others_may_read_is_refused(home: Home) -> None:
    await home.fill(1)
    home.ledger.chmod(0o644)
    with pytest.raises(Denial, match="chmod 600"):
        await home.open()


async def test_our_files_are_for_us_alone(home: Home) -> None:
    store = await home.open()
    await store.append(opened("c1"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.ledger.parent.iterdir()}
    await store.close()
    assert set(modes.values()) == {0o600}
    assert {"ledger.db", "ledger.db-wal", "ledger.head"} <= set(modes)


@pytest.mark.attack("P10")
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM entries WHERE seq > 2",
        "UPDATE entries SET code = 'x' WHERE seq = 4",
        "UPDATE head SET signature = ''",
        "DELETE FROM head",
    ],
)
async def test_a_ledger_whose_end_does_not_hold_is_not_opened(home: Home, change: str) -> None:
    await home.fill(2)
    home.sql(change)
    with pytest.raises(Denial, match="does not hold"):
        await home.open()


@pytest.mark.attack("P10")
async def test_an_older_copy_of_the_whole_file_is_not_opened(home: Home) -> None:
    await home.fill(1)
    old = home.ledger.read_bytes()
    await home.fill(1)
    home.ledger.write_bytes(old)
    with pytest.raises(Denial, match="does not reach the copy"):
        await home.open()


@pytest.mark.attack("P10")
async def test_a_ledger_that_is_gone_is_not_begun_anew(home: Home) -> None:
    await home.fill(1)
    home.ledger.unlink()
    with pytest.raises(Denial, match="gone or empty"):
        await home.open()


@pytest.mark.attack("N2")
async def test_a_flood_of_refusals_is_one_row_a_cause(home: Home) -> None:
    store = await home.open()
    for _ in range(5000):
        await store.reject(draft(EntryKind.REJECTED, code=Code.UNAUTHENTICATED), "dead token")
    await store.reject(draft(EntryKind.REJECTED), "bad host")
    await store.close()
    rows = home.sql("SELECT kind, json_extract(body, '$.cause'), json_extract(body, '$.count') FROM entries")
    assert rows == [("rejected", "dead token", 5000), ("rejected", "bad host", 1)]


async def test_a_refusal_is_on_record_soon_without_any_call(home: Home) -> None:
    store = await home.open()
    await store.reject(draft(EntryKind.REJECTED), "bad host")
    await until(lambda: home.count() == 1)
    await store.close()
    assert home.count() == 1


async def test_causes_without_end_are_counted_together(home: Home) -> None:
    store = await home.open()
    for number in range(1000):
        await store.reject(draft(EntryKind.REJECTED), f"cause {number}")
    await store.close()
    assert home.count() == 64
    assert home.sql("SELECT sum(json_extract(body, '$.count')) FROM entries") == [(1000,)]


async def test_the_copy_outside_follows_within_a_second(home: Home) -> None:
    store = await home.open()
    for number in range(20):
        await store.append(opened(f"c{number}"))

    async def beyond() -> bool:
        return (await home.timeline().verify()).beyond_head == 0

    await until(beyond, 2.0)
    await store.close()


async def test_listeners_hear_of_each_commit_until_they_end(home: Home) -> None:
    store = await home.open()
    heard = []
    end = store.subscribe(heard.append)
    await store.append(opened("c1"))
    end()
    await store.append(closed("c1"))
    await store.close()
    assert heard == [1]


async def test_pruning_leaves_a_signed_checkpoint_and_goes_on_counting(home: Home) -> None:
    await home.fill(3)
    store = await home.open()
    await store.append(opened("open"))
    home.clock.seconds = 3600.0
    cut = home.clock.now()
    home.clock.seconds = 7200.0
    await store.append(closed("late"))
    assert await store.prune(cut) == 6
    assert await store.append(closed("open")) == 10
    found = await home.timeline(store).verify()
    await store.close()
    assert [row[0] for row in home.sql("SELECT seq FROM entries")] == [7, 8, 9, 10]
    assert (found.bad_seq, found.reason) == (None, "")
    store = await home.open()
    assert await store.append(opened("again")) == 11
    await store.close()
    home.sql("DELETE FROM entries WHERE seq = 7")
    assert (await home.timeline().verify()).bad_seq == 7


async def test_the_nth_failing_statement_loses_no_numbered_row(home: Home) -> None:
    failed = 0
    for nth in range(1, 40):
        store = await home.open()
        before = home.count()
        broken = _BreakNth(store._writer._db.conn, nth)
        store._writer._db.conn = broken
        done = []
        for number in range(3):
            try:
                done.append(await store.append(closed(f"n{nth}-{number}")))
            except Denial as denial:
                failed += denial.code is Code.GATEWAY_FAULT
        await store.close()
        stored = [row[0] for row in home.sql(f"SELECT seq FROM entries WHERE seq > {before}")]
        assert set(done) <= set(stored)
        assert (await home.timeline().verify()).reason == ""
        if not broken.broke:
            break
    assert failed > 3
    assert not broken.broke


class _BreakNth:
    """A connection whose n-th statement fails, as a disk would make it."""

    def __init__(self, connection: sqlite3.Connection, nth: int) -> None:
        self._connection = connection
        self._left = nth
        self.broke = False

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.broke = True
            raise sqlite3.OperationalError("disk I/O error")

    def execute(self, *arguments: Any) -> Any:
        self._count()
        return self._connection.execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._count()
        return self._connection.executemany(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("after", [1, 5, 23, 60, 120])
async def test_a_kill_at_any_moment_loses_no_numbered_row_and_closes_open_calls(home: Home, after: int) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from typing import Any
from tests.audit.ledger_kit import Home, closed, opened
async def main(folder):
    store = await Home(folder).open()
    async def caller(who):
        number = 0
        while True:
            number += 1
            print(await store.append(opened(f"{who}-{number}")), flush=True)
            print(await store.append(closed(f"{who}-{number}")), flush=True)
    await asyncio.gather(*(caller(who) for who in "abc"))
asyncio.run(main(Path(sys.argv[1])))
"""
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once, and is read line by line
        [sys.executable, "-c", code, str(home.ledger.parent)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    numbered = [int(process.stdout.readline()) for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    numbered += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    store = await home.open()
    found = await home.timeline(store).verify()
    items = await home.timeline(store).page(Filters(), None, 500)
    await store.close()
    stored = {row[0] for row in home.sql("SELECT seq FROM entries")}
    assert set(numbered) <= stored
    assert (found.bad_seq, found.reason) == (None, "")
    assert all(item.outcome for item in items)
    assert {item.code for item in items} <= {"", Code.INTERRUPTED.value}
    interrupted = [item for item in items if item.code == Code.INTERRUPTED]
    assert all(item.outcome == Outcome.FAILED and item.client == "tests" for item in interrupted)


async def test_calls_left_open_are_closed_as_interrupted_once(home: Home) -> None:
    store = await home.open()
    await store.append(opened("c1"))
    await store.close()
    for _ in range(2):
        await (await home.open()).close()
    assert home.sql("SELECT kind, outcome, code FROM entries") == [
        ("opened", "", ""),
        ("closed", "failed", "interrupted"),
    ]
