"""The audit chain: whatever is changed, removed or put in by hand is found, and what retention removes is not."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from shared.audit import NotAnExport, verify_export
from shared.ids import now_ms
from stitcherd.store import audit, events, retention
from stitcherd.store.db import Db
from stitcherd.store.migrate import migrations, split_statements
from stitcherd.store.store import Store
from tests.stitcherd.store.audit_chain import DAY, NOTE, add, lines, prune, tamper, verify
from tests.stitcherd.store.batches import in_one_batch
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stores import open_store


@pytest.fixture
async def filled(store: Store) -> Store:
    """A store with 10 events, of which the last two are of a job."""
    await add(store, 8)
    await dispatch(store, new_job())
    return store


async def test_a_chain_that_nobody_touched_is_unbroken(filled: Store) -> None:
    report = await verify(filled)
    assert (report.events, report.newest, report.broken, report.head_found) == (10, 10, None, None)
    async with filled.reading() as db:
        shown = await events.events_after(db, 0, 100)
    hashes = [event.hash for event, _ in shown]
    assert hashes[-1] == report.head
    assert len({hash_ for hash_ in hashes if hash_ and len(hash_) == 64}) == 10, "JobEvent has it too"


async def test_any_program_can_verify_an_export(store: Store, tmp_path: Path) -> None:
    """With the program that docs/security.md shows, and nothing of ours."""
    await add(store, 5, 1)
    await prune(store, DAY)
    await add(store, 5)
    guide = (Path(__file__).parents[3] / "docs" / "security.md").read_text("utf-8")
    program = guide.partition("```python\n")[2].partition("```")[0]
    assert "hashlib" in program
    whole = await lines(store)
    changed = [line.replace(b'"n":3', b'"n":4') for line in whole]
    assert changed != whole
    for content, code in ((whole, 0), (changed, 1), ([*whole[:4], *whole[5:]], 1)):
        export = tmp_path / "export"
        export.write_bytes(b"".join(line + b"\n" for line in content))
        argv = [sys.executable, "-I", "-c", program, str(export)]
        ran = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.DEVNULL)
        assert await asyncio.wait_for(ran.wait(), 20) == code


CHANGES = {
    "payload": "UPDATE events SET payload = '{\"n\":7}' WHERE id = 5",
    "a space": "UPDATE events SET payload = payload || ' ' WHERE id = 5",
    "type": "UPDATE events SET type = 'rails.rejected' WHERE id = 5",
    "time": "UPDATE events SET at = at + 1 WHERE id = 5",
    "no time": f"UPDATE events SET at = {2**62} WHERE id = 5",
    "actor": "UPDATE events SET actor = 'uid:0' WHERE id = 5",
    "workspace": "UPDATE events SET workspace = 'other' WHERE id = 5",
    "step": "UPDATE events SET step = 's' WHERE id = 5",
    "delivery": "UPDATE events SET delivery = 'd' WHERE id = 5",
    "hash": "UPDATE events SET hash = zeroblob(32) WHERE id = 5",
    "no hash": "UPDATE events SET hash = NULL WHERE id = 5",
    "another's": "UPDATE events SET (payload, hash) = (SELECT payload, hash FROM events WHERE id = 4) WHERE id = 5",
}
SQLITE_ONLY = {"hash": pytest.mark.sqlite}  # its functions


@pytest.mark.parametrize("change", [pytest.param(each, marks=SQLITE_ONLY.get(each, ())) for each in CHANGES])
async def test_a_changed_event_is_found(filled: Store, path: Path, change: str) -> None:
    tamper(path, CHANGES[change])
    report = await verify(filled)
    assert report.broken is not None
    assert (report.broken.event, report.events, report.newest) == (5, 4, 4)


async def test_an_event_of_another_job_is_found(filled: Store, path: Path) -> None:
    other = await dispatch(filled, new_job())
    tamper(path, f"UPDATE events SET job = (SELECT key FROM jobs WHERE id = '{other.id}') WHERE id = 9")
    report = await verify(filled)
    assert report.broken is not None
    assert report.broken.event == 9


@pytest.mark.parametrize("removed", [[5], [1], [3, 4, 5]])
async def test_a_removed_event_is_found(filled: Store, path: Path, removed: list[int]) -> None:
    tamper(path, f"DELETE FROM events WHERE id IN ({', '.join(map(str, removed))})")
    report = await verify(filled)
    assert report.broken is not None
    assert report.broken.event == removed[0]
    assert "missing" in report.broken.reason


async def test_events_removed_from_the_end_are_found_by_the_last_id(filled: Store, path: Path) -> None:
    tamper(path, "DELETE FROM events WHERE id > 7")
    report = await verify(filled)
    assert report.broken is not None
    assert (report.broken.event, report.events) == (8, 7)
    assert "removed from the end" in report.broken.reason


@pytest.mark.sqlite
async def test_a_cover_up_at_the_end_is_found_by_a_noted_head_only(filled: Store, path: Path) -> None:
    noted = (await verify(filled)).head
    tamper(path, "DELETE FROM events WHERE id > 7", "UPDATE sqlite_sequence SET seq = 7 WHERE name = 'events'")
    await filled.write(lambda _: None)  # the writer knows nothing of before this transaction
    assert (await verify(filled)).intact, "nothing in the database tells"
    await add(filled, 20)
    report = await verify(filled, noted)
    assert (report.broken, report.head_found, report.intact) == (None, False, False)


@pytest.mark.parametrize("length", [8, 64])
async def test_a_noted_head_is_found_after_more_events(filled: Store, length: int) -> None:
    noted = (await verify(filled)).head[:length]
    await add(filled, 3)
    report = await verify(filled, noted)
    assert (report.head_found, report.intact) == (True, True)


async def test_an_event_put_in_between_is_found(filled: Store, path: Path) -> None:
    copied = "SELECT job, step, delivery, workspace, type, actor, at, payload, hash FROM events WHERE id = 5"
    columns = "job, step, delivery, workspace, type, actor, at, payload, hash"
    tamper(
        path,
        "UPDATE events SET id = -id WHERE id > 5",
        "UPDATE events SET id = -id + 1 WHERE id < 0",
        f"INSERT INTO events (id, {columns}) SELECT 6, * FROM ({copied}) copied",
    )
    report = await verify(filled)
    assert report.broken is not None
    assert report.broken.event == 6


@pytest.mark.parametrize("place", [0, -3, 11, 12])
async def test_an_event_put_at_an_end_is_found(filled: Store, path: Path, place: int) -> None:
    tamper(path, f"INSERT INTO events (id, type, actor, at, payload) VALUES ({place}, 'a', 'b', 1, '{{}}')")
    report = await verify(filled)
    assert report.broken is not None
    assert report.broken.event == min(place, 11)


async def test_a_forged_checkpoint_is_told(filled: Store) -> None:
    await filled.write(events.add_events, events.new_event("audit.checkpoint", actor="stitcherd", now=now_ms()))
    report = await verify(filled)
    assert report.broken is not None
    assert (report.broken.event, "not a checkpoint" in report.broken.reason) == (11, True)


async def test_events_in_the_wrong_order_are_found(filled: Store, path: Path) -> None:
    tamper(path, "UPDATE events SET id = -id WHERE id IN (4, 5)", "UPDATE events SET id = 9 + id WHERE id < 0")
    report = await verify(filled)
    assert report.broken is not None
    assert report.broken.event == 4


async def test_a_failed_write_leaves_no_gap_in_the_chain(store: Store) -> None:
    def fail(db: Db) -> None:
        events.add_events(db, events.new_event(NOTE, actor="rails", now=1))
        raise LookupError

    done = await in_one_batch(store, *(store.write(fail) if number % 3 == 1 else add(store, 1) for number in range(12)))
    assert sum(isinstance(each, LookupError) for each in done) == 4
    report = await verify(store)
    assert (report.events, report.newest, report.broken) == (8, 8, None)


@pytest.mark.sqlite
async def test_a_chain_is_continued_after_a_crash(path: Path) -> None:
    store = await open_store(path)
    await add(store, 5)
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):  # what a crash leaves behind
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    await store.close()
    again = await open_store(copy)
    await add(again, 5)
    report = await verify(again)
    assert (report.events, report.broken) == (10, None)
    await again.close()


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.sqlite
async def test_the_chain_begins_after_the_events_of_an_earlier_version(path: Path, pruned: bool) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in split_statements(migrations()[0][1]):
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        for _ in range(6):
            db.execute("INSERT INTO events (type, actor, at, payload) VALUES ('a', 'b', 1, '{}')")
        db.execute("DELETE FROM events WHERE id IN (2, 6)")
    store = await open_store(path)
    async with store.reading() as reader:
        [(first, _), *_] = await events.events_after(reader, 0, 1)
    assert first.hash is None
    if pruned:
        await prune(store, DAY)
    await add(store, 3, 2)
    report = await verify(store)
    assert (report.events, report.unchained, report.removed, report.broken) == (3, 0 if pruned else 4, 0, None)
    assert report.newest == 9
    await prune(store, 2)
    await add(store, 3)
    await prune(store, DAY)
    report = await verify(store)
    assert (report.events, report.unchained, report.removed, report.broken) == (4, 0, 3, None)
    tamper(path, "UPDATE events SET payload = '[]' WHERE id = 11")
    assert not (await verify(store)).intact
    await store.close()


async def test_a_cut_export_is_found(filled: Store) -> None:
    whole = await lines(filled)
    assert verify_export(whole[:-1]).broken is not None
    assert verify_export([*whole[:-1], whole[-1][:-20]]).broken is not None
    with pytest.raises(NotAnExport):
        verify_export(whole[1:])
    with pytest.raises(NotAnExport):
        verify_export([])
    with pytest.raises(NotAnExport, match="format is 2"):
        verify_export([whole[0].replace(b'"format":1', b'"format":2')])


async def test_an_export_is_of_one_moment_and_in_chunks(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EXPORT_EVENTS", 3)
    await prune(filled, DAY)
    chunks = []
    async with filled.snapshot() as db:
        async for chunk in audit.export_events(db):
            chunks.append(chunk)
            await add(filled, 1)
            await filled.write(retention.prune_events, now_ms() + DAY, now_ms())
    assert len(chunks) == 5
    report = verify_export(b"".join(chunks).splitlines())
    assert (report.events, report.broken) == (10, None)
