"""The writer: what shares a commit, what is undone alone, and a disk that takes nothing for a while."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from shared.deliveries import Delivery
from stitcherd.store import checkpoints, deliveries, opening, writer
from stitcherd.store.db import Db
from stitcherd.store.errors import Conflict, StorageUnavailable
from stitcherd.store.store import Store
from stitcherd.store.writer import Writer
from tests.stitcherd.store.batches import busy, trace
from tests.stitcherd.store.factories import add_delivery, note_event
from tests.stores import open_store

HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA wal_autocheckpoint=0")
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
Make = Callable[..., deliveries.NewDelivery]


def put(db: Db, name: str, value: str = "", *, fail: bool = False) -> str:
    db.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))
    if fail:
        raise LookupError(name)
    return name


async def names(store: Store) -> set[str]:
    async with store.reading() as db:
        rows = await db.execute_fetchall("SELECT name FROM meta WHERE name <> 'instance'")
    return {row["name"] for row in rows}


@pytest.mark.sqlite
async def test_a_batch_shares_a_commit_and_a_failure_undoes_only_itself(store: Store) -> None:
    statements: list[str] = []
    await store.write(trace, statements.append)
    async with busy(store):
        writes = [asyncio.ensure_future(store.write(put, str(n), fail=n % 3 == 0)) for n in range(30)]
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert statements.count("COMMIT") == 3, (
        "one that turned the trace on, one to hold the writer, one for all that came meanwhile"
    )
    kept = {str(n) for n in range(30) if n % 3}
    assert {each for each in done if isinstance(each, str)} == kept
    assert sum(isinstance(each, LookupError) for each in done) == 10
    assert await names(store) == kept


async def test_a_constraint_violation_fails_only_its_own_caller(store: Store) -> None:
    done = await asyncio.gather(*(store.write(put, name) for name in ("a", "a", "b")), return_exceptions=True)
    assert sorted(each for each in done if isinstance(each, str)) == ["a", "b"]
    assert sum(isinstance(each, Conflict) for each in done) == 1
    with pytest.raises(Exception, match=r"no such table|does not exist"):
        await store.write(lambda db: db.execute("SELECT * FROM nobody"))


@pytest.mark.sqlite
async def test_a_returned_write_survives_a_crash(path: Path) -> None:
    store = await open_store(path)
    await asyncio.gather(*(store.write(put, str(n)) for n in range(20)))
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):  # what a crash leaves behind
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    await store.close()
    again = await open_store(copy)
    assert await names(again) == {str(n) for n in range(20)}
    await again.close()


async def test_a_cancelled_caller_does_not_undo_the_write(store: Store) -> None:
    caller = asyncio.ensure_future(store.write(put, "a"))
    await asyncio.sleep(0)
    caller.cancel()
    await store.write(put, "b")
    assert await names(store) == {"a", "b"}
    assert caller.cancelled()


async def test_each_commit_of_events_is_announced(store: Store) -> None:
    committed = store.commits()
    await store.write(note_event)
    assert committed.is_set()


@pytest.mark.sqlite
async def test_a_full_disk_stores_nothing_until_there_is_room(store: Store, new_delivery: Make) -> None:
    def limit(db: Db, pages: int) -> None:
        db.execute(f"PRAGMA max_page_count = {pages}")

    pages = await store.write(lambda db: int(db.execute("PRAGMA page_count").fetchone()[0]))
    await store.write(limit, pages + 1)
    big = new_delivery(body=Random(1).randbytes(100_000))
    async with busy(store):
        small = asyncio.ensure_future(store.write(put, "small"))
        large = asyncio.ensure_future(add_delivery(store, big))
    for answer in await asyncio.gather(small, large, return_exceptions=True):
        assert isinstance(answer, StorageUnavailable)
    assert await names(store) == set(), "nothing that shared the commit was stored"
    await store.write(put, "small")
    await store.write(limit, 1_000_000)
    await add_delivery(store, big)
    async with store.reading() as db:
        found: Delivery = await deliveries.get_delivery(db, big.id, None)
    assert found.body_bytes == 100_000


@pytest.mark.sqlite
async def test_an_outage_is_logged_once_and_its_end_is_noticed_without_a_write(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "PROBE_SECONDS", 0.01)
    full = True

    def fail_while_full(_db: Db) -> None:
        if full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    probe = writer._probe

    def probe_while_full(db: Db, items: Sequence[None]) -> Sequence[None]:
        fail_while_full(db)
        return probe(db, items)

    monkeypatch.setattr(writer, "_probe", probe_while_full)
    for _ in range(3):
        with pytest.raises(StorageUnavailable) as raised:
            await store.write(fail_while_full)
        assert raised.value.lacks_space
    await asyncio.sleep(0.1)
    assert store.outage is not None
    assert store.outage.reason == "database or disk is full"
    assert len(caplog.records) == 1
    full = False
    async with asyncio.timeout(20):
        while store.outage:  # noqa: ASYNC110 (it is set in another thread)
            await asyncio.sleep(0.01)
    assert "available again" in caplog.records[-1].message


@contextmanager
def held_by_another(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            other.communicate(timeout=20)


@pytest.mark.sqlite
async def test_a_file_locked_by_another_process_stores_nothing_until_it_is_unlocked(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.1)
    store = await open_store(path)
    with held_by_another(path):
        with pytest.raises(StorageUnavailable, match="locked"):
            await store.write(put, "a")
        assert await names(store) == set(), "reading goes on"
    await store.write(put, "b")
    assert await names(store) == {"b"}
    await store.close()


@pytest.mark.sqlite
async def test_the_log_is_checkpointed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "WAL_CHECKPOINT_PAGES", 25)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_AFTER", 4)
    store = await open_store(path)
    wal = path.with_name(path.name + "-wal")
    for number in range(40):
        await store.write(put, str(number), "x" * 20_000)
    assert wal.stat().st_size < 500_000, "800 KB were written"
    await store.close()
    assert not wal.exists()


@pytest.mark.sqlite
async def test_the_log_is_checkpointed_after_a_large_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "WAL_SIZE_LIMIT", 100_000)
    store = await open_store(path)
    wal = path.with_name(path.name + "-wal")
    await store.write(put, "large", "x" * 1_000_000)
    await store.write(put, "next")
    await store.write(put, "last")
    assert wal.stat().st_size <= 100_000, "it was truncated once it was copied"
    async with store.reading():  # keeps what follows in the log
        for number in range(20):
            await store.write(put, str(number), "x" * 20_000)
    await store.write(put, "read")
    await store.write(put, "again", "x" * 500_000)
    await store.write(put, "empty")
    assert wal.stat().st_size <= 100_000
    await store.close()
    assert not wal.exists()


async def test_a_closed_store_is_unavailable(path: Path) -> None:
    store = await open_store(path)
    last = asyncio.ensure_future(store.write(put, "last"))
    await asyncio.sleep(0)
    await store.close()
    assert await last == "last"
    with pytest.raises(StorageUnavailable, match="closed"):
        await store.write(put, "late")


async def heals(store: Store) -> None:
    async with asyncio.timeout(5):
        while store.outage is not None:  # noqa: ASYNC110 (it ends by itself)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("error", [SystemExit("a bug"), asyncio.CancelledError("a bug"), KeyboardInterrupt("a bug")])
async def test_what_ends_threads_does_not_end_the_writer(
    store: Store, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def exit_(db: Db) -> None:
        put(db, "undone")
        raise error

    async with asyncio.timeout(20):
        with pytest.raises(StorageUnavailable, match=r"the writer failed through a bug: .*a bug"):
            await store.write(exit_)
        assert store.outage is not None, "/readyz says it"
        await heals(store)
        assert await store.write(put, "a") == "a"
    assert await names(store) == {"a"}
    assert "the writer of the store failed through a bug, and goes on" in caplog.text


async def test_a_bug_between_two_commits_is_told_to_those_who_wait(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(writer_: Writer, batch: list[object]) -> None:
        monkeypatch.undo()
        raise LookupError(f"a bug, with {len(batch)} writes of {type(writer_).__name__}")

    monkeypatch.setattr(Writer, "_commit", fail)
    async with asyncio.timeout(20):
        with pytest.raises(StorageUnavailable, match="a bug, with 1 writes"):
            await store.write(put, "lost")
        assert await store.write(put, "a") == "a"
    assert await names(store) == {"a"}


@pytest.mark.parametrize(
    ("owner", "name"), [(writer, "make_calls"), pytest.param(checkpoints.Checkpoints, "note", marks=pytest.mark.sqlite)]
)
async def test_a_bug_after_a_commit_refuses_nothing_that_is_stored(
    store: Store, owner: object, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(owner, name, fail)
    async with asyncio.timeout(20):
        assert [await store.write(put, name) for name in "ab"] == ["a", "b"]
    assert await names(store) == {"a", "b"}
    assert store.outage is None
    assert "what follows a commit failed through a bug" in caplog.text
