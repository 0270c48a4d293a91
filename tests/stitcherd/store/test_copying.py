"""A copy of a SQLite file in PostgreSQL: the same rows with the same keys, or nothing."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import structs

from shared.ids import now_ms
from shared.models import Result
from stitcherd.store import copying, daemons, events, pieces, retention, transitions
from stitcherd.store.copying import CannotCopy, Pieces, copy_rows, open_source, open_target
from stitcherd.store.db import Db
from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.migrate import NewerDatabase, migrations
from stitcherd.store.pieces import OutputPlace
from stitcherd.store.postgres import open_postgres
from stitcherd.store.sqlite import open_sqlite
from stitcherd.store.store import Store
from tests import stores
from tests.stitcherd.store import audit_chain
from tests.stitcherd.store.factories import deliver, new_delivery, new_job, note_event
from tests.stitcherd.store.test_daemons import process

pytestmark = pytest.mark.postgres

OWN_TABLES = {"highest_keys", "schema_version"}  # of PostgreSQL


@pytest.fixture
def dsn(path: Path) -> str:
    """Return the connection string of a database without tables."""
    dsn = stores.dsn_of(path)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return dsn


async def end_job(store: Store, job_id: str) -> None:
    await store.write(transitions.start, job_id, 1, "me", now_ms())
    await store.write(transitions.conclude, job_id, (1, "me"), now_ms(), Result(None, 0, 0, 0, "done"))


async def fill(path: Path, count: int = 5) -> list[str]:
    """Write a database with ended jobs, of which the newest was removed, and text with NUL; return the ids of jobs."""
    store = await open_sqlite(path)
    ids = []
    for number in range(count + 1):
        delivery = new_delivery(sender="forge:\0ann", headers={"X": "\0"}, body=b"\0\xff" * number)
        job = await deliver(store, delivery, new_job(actor="source:forge", delivery_id=delivery.id, prompt="do\0it"))
        await end_job(store, job.id)
        ids.append(job.id)

    def remove_newest(db: Db) -> None:
        db.execute("DELETE FROM events WHERE job = (SELECT max(key) FROM jobs)")
        [row] = db.execute("SELECT key, completed_at AS at FROM jobs ORDER BY key DESC LIMIT 1").fetchall()
        assert retention.delete_jobs(db, [retention.RowPlace(row["at"], row["key"])]) == 1

    await store.write(remove_newest)
    await store.close()
    return ids[:-1]


def copy(path: Path, dsn: str, outputs: Pieces = ()) -> dict[str, int]:
    with open_source(path) as source, open_target(dsn) as target:
        return copy_rows(source, target, outputs, lambda _: None)


def as_copied(value: object) -> object:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def contents(rows: Iterable[Iterable[Any]]) -> list[str]:
    return sorted(repr([bytes(value) if isinstance(value, memoryview) else value for value in row]) for row in rows)


def has_tables(dsn: str) -> bool:
    with psycopg.connect(dsn) as admin:
        found = admin.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public'").fetchall()
    return bool(found)


async def test_all_rows_are_there_with_their_keys(path: Path, dsn: str) -> None:
    await fill(path)
    copied = copy(path, dsn)
    with closing(sqlite3.connect(path)) as source, psycopg.connect(dsn) as target:
        for table, rows in copied.items():
            found = source.execute(f"SELECT * FROM {table}").fetchall()
            names = ", ".join(f'"{column[1]}"' for column in source.execute(f"PRAGMA table_info({table})"))
            expected = [[as_copied(value) for value in row] for row in found]
            assert contents(target.execute(f"SELECT {names} FROM {table}").fetchall()) == contents(expected)
            assert rows == len(found)
        tables = target.execute("SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'")
        assert {name for (name,) in tables if not name.startswith(("pg_", "sql_"))} == copied.keys() | OWN_TABLES
    assert copied["jobs"] == 5
    assert copied["deliveries"] == 6


async def test_the_store_goes_on_where_the_file_ended(path: Path, dsn: str) -> None:
    ids = await fill(path)
    copy(path, dsn)
    with closing(sqlite3.connect(path)) as source:
        [(job,), (event,)] = source.execute(
            "SELECT seq FROM sqlite_sequence WHERE name IN ('events', 'jobs') ORDER BY name DESC"
        ).fetchall()
        [(instance,)] = source.execute("SELECT value FROM meta WHERE name = 'instance'").fetchall()
    store = await open_postgres(dsn)
    try:
        async with store.reading() as db:
            assert await events.instance(db) == instance
            assert await events.newest_event(db) == event
        new = await deliver(store, new_delivery(), new_job(actor="source:forge"))
        await end_job(store, new.id)
        async with store.reading() as db:
            [row] = await db.execute_fetchall("SELECT key FROM jobs WHERE id = ?", [new.id])
            assert row["key"] == job + 1, "no key is used twice"
            [counted] = await db.execute_fetchall("SELECT n FROM job_counts WHERE status = 'COMPLETED'")
            assert counted["n"] == len(ids) + 1, "what follows the rows of jobs works again"
            [text] = await db.execute_fetchall("SELECT count(*) AS n FROM job_search")
            assert text["n"] == len(ids) + 1
            [found] = await db.execute_fetchall("SELECT min(id) AS id FROM events WHERE id > ?", [event])
            assert found["id"] == event + 1
    finally:
        await store.close()


async def test_who_ran_jobs_of_the_file_is_gone(path: Path, dsn: str) -> None:
    killed = process("one", id="killed", role="daemon", workers=1)
    source = await open_sqlite(path)
    job = await deliver(source, new_delivery(), new_job(actor="source:forge"))
    await source.write(daemons.join, killed, None, now_ms())
    await source.write(transitions.start, job.id, 1, killed.id, now_ms())
    await source.close()
    copy(path, dsn)
    store = await open_postgres(dsn)
    await store.write(daemons.join, structs.replace(killed, id="new", lock_id="new", machine="there"), 15_000, now_ms())
    async with store.reading() as db:
        left = await daemons.left_jobs(db, "new", "there", killed.state_id, 15_000)
    await store.close()
    assert [(each.id, each.owner) for each in left] == [(job.id, killed.id)]


async def test_outputs_become_pieces(path: Path, dsn: str) -> None:
    first, *_ = await fill(path)
    place, unknown = OutputPlace(first, 1, "1.log"), OutputPlace("no-such-job", 1, "1.log")
    copied = copy(path, dsn, [(place, 0, b"one\0"), (place, 4, b"two"), (unknown, 0, b"of nobody")])
    assert copied["pieces"] == 2
    store = await open_postgres(dsn)
    async with store.reading() as db:
        assert await pieces.output_size(db, place) == 7
        assert await pieces.read_pieces(db, place, 2, 6) == b"e\0tw"
    await store.close()


async def test_nothing_is_copied_if_the_databases_differ_at_the_end(
    path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(path)
    written = copying._copy_table

    def change_one(db: Any, table: Any, rows: Any, report: Any) -> Any:
        found = written(db, table, rows, report)
        if table.name == "events":
            db.execute("UPDATE events SET actor = 'eve' WHERE id = 3")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_copy_table", change_one)
        with pytest.raises(CannotCopy, match="the table events is not the same"):
            copy(path, dsn)
    assert not has_tables(dsn)
    copy(path, dsn)
    assert has_tables(dsn)


async def test_a_lost_connection_leaves_nothing(path: Path, dsn: str) -> None:
    await fill(path)

    def lose(text: str) -> None:
        if text.startswith("events"):
            with psycopg.connect(dsn, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    with (
        pytest.raises(CannotCopy, match="the database of --to failed"),
        open_source(path) as source,
        open_target(dsn) as target,
    ):
        copy_rows(source, target, (), lose)
    assert not has_tables(dsn)


async def test_what_cannot_be_copied_is_refused(path: Path, dsn: str, tmp_path: Path) -> None:
    with pytest.raises(CannotCopy, match="there is no database"):
        copy(path, dsn)
    await fill(path)
    with pytest.raises(CannotCopy, match="--to is no connection string"):
        copy(path, "not = a = dsn")
    with pytest.raises(CannotCopy, match=r"the database of --to cannot be used"):
        copy(path, f"host={tmp_path} dbname=none")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE TABLE mine (n int)")
        with pytest.raises(CannotCopy, match="is not empty, it has mine"):
            copy(path, dsn)
        admin.execute("DROP TABLE mine")
        assert not has_tables(dsn)
    mark = HighWaterMark(path)
    events_before = mark.events
    mark.raise_to(10_000)
    with pytest.raises(CannotCopy, match="lacks events"):
        copy(path, dsn)
    assert events_before is not None
    mark.raise_to(events_before)
    mark.close()
    for version, error in ((len(migrations()) - 1, CannotCopy), (999, NewerDatabase)):
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
        with pytest.raises(error):
            copy(path, dsn)
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 99)
    with pytest.raises(CannotCopy, match="cannot be read"):
        copy(path, dsn)
    assert not has_tables(dsn)


async def test_a_database_that_a_daemon_uses_is_refused(path: Path, tmp_path: Path) -> None:
    await fill(path)
    dsn = stores.dsn_of(tmp_path / "used")
    store = await open_postgres(dsn)
    await store.write(note_event)
    with pytest.raises(CannotCopy, match=r"a stitcherd uses the database|is not empty"):
        copy(path, dsn)
    await store.close()


async def test_the_events_of_the_copy_are_one_chain(path: Path, dsn: str) -> None:
    source = await open_sqlite(path)
    await audit_chain.add(source, 10, now_ms() - 2 * audit_chain.DAY)
    await audit_chain.prune(source, now_ms() - audit_chain.DAY)
    await audit_chain.add(source, 10)
    before = await audit_chain.verify(source)
    await source.close()
    copy(path, dsn)
    store = await open_postgres(dsn)
    await audit_chain.add(store, 10)
    report = await audit_chain.verify(store, before.head)
    await store.close()
    assert report.intact
    assert (report.events, report.removed) == (before.events + 10, before.removed)
    assert before.removed == 10
