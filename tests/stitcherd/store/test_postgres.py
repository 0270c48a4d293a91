"""What is PostgreSQL's own: its schema, lost connections, and who may use a database."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stitcherd.errors import Refusal
from stitcherd.store import postgres_leader
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable, UnusableDatabase
from stitcherd.store.events import newest_event
from stitcherd.store.migrate import migrate, migrations, numbered_scripts
from stitcherd.store.postgres import open_postgres
from stitcherd.store.postgres_engine import PostgresEngine
from stitcherd.store.store import READERS, Store
from tests import stores
from tests.stitcherd.store.factories import note_event

pytestmark = pytest.mark.postgres


@pytest.fixture
def dsn(path: Path) -> str:
    return stores.dsn_of(path)


@pytest.fixture
def admin(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def test_both_schemas_have_the_same_tables_and_columns(admin: psycopg.Connection[Any]) -> None:
    types = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "REAL": "double precision"}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        expected = {
            (table, name, types[type_], bool(required) or bool(key))
            for table in tables
            if not table.startswith("sqlite_")
            for _, name, type_, required, _, key in db.execute(f"PRAGMA table_info({table})")
        }
    found = admin.execute(
        "SELECT c.table_name, column_name, data_type, is_nullable = 'NO' FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    ).fetchall()
    assert {row for row in found if row[0] not in {"highest_keys", "schema_version"}} == expected
    assert numbered_scripts("stitcherd.store.migrations_postgres")[-1][0] == len(migrations())


async def read_newest(store: Store) -> int:
    async with store.reading() as db:
        return await newest_event(db)


async def outcome(reading: Awaitable[int]) -> int | Exception:
    [found] = await asyncio.gather(reading, return_exceptions=True)
    assert isinstance(found, int | Exception)
    return found


def cut_off(admin: psycopg.Connection[Any]) -> None:
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stitcherd'")


async def test_lost_connections_are_made_again(store: Store, admin: psycopg.Connection[Any]) -> None:
    await store.write(note_event)
    cut_off(admin)
    await store.write(note_event)
    found = [await outcome(read_newest(store)) for _ in range(2 * READERS)]
    assert found == [2] * (2 * READERS)


async def test_a_write_whose_connection_is_lost_runs_again(store: Store, admin: psycopg.Connection[Any]) -> None:
    calls: list[int] = []

    def note_then_lose(db: Db) -> None:
        note_event(db)
        calls.append(1)
        if len(calls) == 1:
            admin.execute("SELECT pg_terminate_backend(%s)", [store._writer._engine.process])  # type: ignore[attr-defined]

    await store.write(note_then_lose)
    assert len(calls) == 2
    async with store.reading() as db:
        assert await newest_event(db) == 1
    assert store.outage is None


async def test_a_connection_that_takes_no_statement_any_more_is_replaced(store: Store) -> None:
    class Connection:
        """A connection that was lost in the middle of many statements: psycopg does not know that yet."""

        closed = False

        def __init__(self, real: psycopg.Connection[Any]) -> None:
            self._real = real

        def execute(self, *_: Any, **__: Any) -> Any:
            raise psycopg.OperationalError("cannot exit pipeline mode while busy")

        def close(self) -> None:
            self.closed = True
            self._real.close()

    engine: Any = store._writer._engine
    await store.write(note_event)
    engine.db.connection = Connection(engine.db.connection)
    with pytest.raises(StorageUnavailable, match="while busy"):
        await store.write(note_event)
    await store.write(note_event)
    async with store.reading() as db:
        assert await newest_event(db) == 2
    assert store.outage is None


@pytest.mark.parametrize("stored", [True, False])
async def test_the_outcome_of_a_commit_without_an_answer_is_found_out(
    store: Store, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    engine: Any = store._writer._engine
    calls: list[int] = []

    class Connection:
        """A connection that is lost with the COMMIT: after it was done, or before."""

        def __init__(self, real: psycopg.Connection[Any]) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def execute(self, statement: Any, *values: Any, **options: Any) -> Any:
            if b"COMMIT" not in statement:
                return self._real.execute(statement, *values, **options)
            if stored:
                self._real.execute(statement, *values, **options)
            admin.execute("SELECT pg_terminate_backend(%s)", [self._real.info.backend_pid])
            return self._real.execute(b"SELECT 1")

    def note(db: Db) -> int:
        note_event(db)
        calls.append(1)
        return len(calls)

    await store.write(lambda _: None)
    engine.db.connection = Connection(engine.db.connection)
    assert await store.write(note) == (1 if stored else 2)
    async with store.reading() as db:
        assert await newest_event(db) == 1
    assert store.outage is None


async def test_nothing_is_stored_while_another_transaction_holds_the_lock(store: Store, dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x5374697463686572])
        with pytest.raises(StorageUnavailable, match="lock timeout"):
            await store.write(note_event)
        assert store.outage is not None
    await store.write(note_event)
    assert store.outage is None


async def test_a_commit_without_events_is_not_announced(store: Store, admin: psycopg.Connection[Any]) -> None:
    admin.execute("LISTEN stitcher")
    committed = store.commits()
    await store.write(Db.touch)
    assert not committed.is_set()
    await store.write(note_event)
    assert committed.is_set()
    assert len(list(admin.notifies(timeout=20, stop_after=1))) == 1, "that of the event"


async def test_a_commit_of_others_is_announced(store: Store, admin: psycopg.Connection[Any]) -> None:
    committed = store.commits()
    while not committed.is_set():  # from when it listens on
        admin.execute("SELECT pg_notify('stitcher', '')")
        await asyncio.sleep(0.01)


async def test_one_process_leads_and_another_one_once_its_connection_is_lost(
    store: Store, dsn: str, admin: psycopg.Connection[Any]
) -> None:
    other = await open_postgres(dsn)
    leading: asyncio.Queue[str] = asyncio.Queue()

    async def work(name: str) -> None:
        leading.put_nowait(name)
        await asyncio.Event().wait()

    first = asyncio.create_task(store.lead(lambda: work("first")))
    async with asyncio.timeout(20):
        assert await leading.get() == "first"
        second = asyncio.create_task(other.lead(lambda: work("second")))
        locks = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 0x63686501 AND granted"
        locks = locks.replace("0x63686501", str(0x63686501))
        while not (holders := admin.execute(locks).fetchall()):  # noqa: ASYNC110 (it is another process)
            await asyncio.sleep(0.01)
        assert leading.empty()
        admin.execute("SELECT pg_terminate_backend(%s)", holders[0])
        assert await leading.get() == "second"
    for task in (first, second):
        task.cancel()
    await asyncio.wait({first, second})
    await other.close()


async def test_an_empty_database_gets_its_tables_and_a_newer_one_is_refused(
    dsn: str, admin: psycopg.Connection[Any]
) -> None:
    admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for _ in range(2):
        store = await open_postgres(dsn)
        await store.write(note_event)
        await store.close()
    admin.execute("UPDATE schema_version SET version = 999")
    with pytest.raises(Exception, match="the database has version 999"):
        PostgresEngine(dsn)


async def test_a_leader_that_is_stopped_is_replaced(store: Store, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_leader, "IDLE_SECONDS", 1)
    monkeypatch.setattr(postgres_leader, "LOOK_SECONDS", 3600.0)  # it says no more that it is there
    other = await open_postgres(dsn)
    leading: asyncio.Queue[str] = asyncio.Queue()

    async def work(name: str) -> None:
        leading.put_nowait(name)
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        first = asyncio.create_task(store.lead(lambda: work("first")))
        assert await leading.get() == "first"
        second = asyncio.create_task(other.lead(lambda: work("second")))
        assert await leading.get() == "second"
    for task in (first, second):
        task.cancel()
    await asyncio.wait({first, second})
    await other.close()


def test_the_tables_are_not_changed_under_a_daemon_of_an_earlier_version(
    dsn: str, admin: psycopg.Connection[Any]
) -> None:
    admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    number, first = numbered_scripts("stitcherd.store.migrations_postgres")[0]
    admin.execute(first.encode(), prepare=False)
    admin.execute("UPDATE schema_version SET version = %s", [number])
    with psycopg.connect(dsn, autocommit=True) as earlier:
        earlier.execute("SELECT pg_advisory_lock(%s)", [0x5374697463686501])  # as it was then
        with pytest.raises(UnusableDatabase, match="earlier version"):
            PostgresEngine(dsn)
    PostgresEngine(dsn).close()
    [newest] = admin.execute("SELECT version FROM schema_version").fetchall()
    assert newest == (len(migrations()),)


async def test_a_database_with_another_order_of_texts_is_refused(admin: psycopg.Connection[Any], dsn: str) -> None:
    found = admin.execute("SELECT collcollate FROM pg_collation WHERE collcollate LIKE 'en_%' LIMIT 1").fetchone()
    if found is None:
        admin.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
    else:
        admin.execute(f"CREATE DATABASE latin TEMPLATE template0 LC_COLLATE '{found[0]}'")
    try:
        with pytest.raises(UnusableDatabase, match="CREATE DATABASE"):
            PostgresEngine(dsn.rpartition("=")[0] + "=latin")
    finally:
        admin.execute("DROP DATABASE latin WITH (FORCE)")


async def test_a_backup_is_left_to_pg_dump(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="PostgreSQL") as refused:
        await store.back_up(tmp_path / "copy")
    assert refused.value.hint == "use pg_dump"
