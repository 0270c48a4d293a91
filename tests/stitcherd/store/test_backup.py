"""Backups: whole while others write, over no other file, before a migration, and restored only if they are good."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stitcherd.store import backup, migrate
from stitcherd.store.sqlite import open_sqlite
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

pytestmark = pytest.mark.sqlite

KNOWN = migrate.migrations()
LATER = (len(KNOWN) + 1, "ALTER TABLE rails ADD COLUMN note TEXT;\n")
SUFFIX = "before-restore-1"


def query(path: Path, statement: str) -> Any:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(statement).fetchone()[0]


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


async def test_a_backup_is_one_whole_file_that_only_its_owner_reads(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy" / "a.db"
    target.parent.mkdir()
    job = await dispatch(store, new_job())
    assert await store.back_up(target) == target.stat().st_size
    await dispatch(store, new_job())
    assert (names(target.parent), target.stat().st_mode & 0o777) == ({"a.db"}, 0o600)
    assert query(target, "PRAGMA integrity_check") == "ok"
    assert query(target, "SELECT group_concat(id) FROM jobs") == job.id
    assert query(target, "PRAGMA journal_mode") == "delete"


async def test_writes_go_on_during_a_backup(store: Store, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        made = tasks.create_task(store.back_up(tmp_path / "a.db"))
        for _ in range(50):
            tasks.create_task(dispatch(store, new_job()))
    assert made.result() > 0
    assert query(tmp_path / "a.db", "PRAGMA integrity_check") == "ok"


async def test_nothing_is_replaced_and_nothing_is_left_of_a_failure(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(FileExistsError):
        await store.back_up(taken)
    assert taken.read_text() == "mine"
    with pytest.raises(FileNotFoundError):
        await store.back_up(tmp_path / "nowhere" / "a.db")
    before = names(tmp_path)

    def fail(_directory: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(backup, "_sync", fail)
    with pytest.raises(OSError, match="no space"):
        await store.back_up(tmp_path / "a.db")
    assert names(tmp_path) == before


async def test_a_database_is_copied_before_it_is_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = await open_sqlite(path)
    job = await dispatch(store, new_job())
    await store.close()
    assert caplog.messages == []
    assert names(path.parent) == {path.name, f"{path.name}-mark"}, "a new database needs none, nor one of this version"
    monkeypatch.setattr(migrate, "migrations", lambda: [*KNOWN, LATER])
    monkeypatch.setattr(backup, "migrations", lambda: [*KNOWN, LATER])
    kept = path.with_name(f"{path.name}.before-{LATER[0]}")
    kept.write_text("of a migration that failed")
    await (await open_sqlite(path)).close()
    assert query(path, "PRAGMA user_version") == LATER[0]
    assert query(kept, "PRAGMA user_version") == len(KNOWN)
    assert query(kept, "SELECT id FROM jobs") == job.id


async def test_a_state_of_the_first_schema_opens_with_a_copy_beside_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for statement in migrate.split_statements(KNOWN[0][1]):
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO rails VALUES ('r1', 'version: 1', 1)")
    store = await open_sqlite(path)
    await dispatch(store, new_job())
    await store.close()
    kept = path.with_name(f"{path.name}.before-{len(KNOWN)}")
    steps = len(KNOWN) - 1
    begin = f"migrating the database from version 1 to {len(KNOWN)}: "
    first, *said, last = [record.message for record in caplog.records]
    assert first == f"{begin}copying it as it is to {kept}"
    assert said == [f"{begin}step {number} of {steps}" for number in range(1, steps + 1)]
    assert last.startswith(f"migrated the database to version {len(KNOWN)} in ")
    assert (query(kept, "PRAGMA user_version"), query(kept, "SELECT text FROM rails")) == (1, "version: 1")
    assert query(path, "PRAGMA user_version") == len(KNOWN)


async def test_a_backup_that_cannot_be_made_prevents_the_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await open_sqlite(path)).close()
    monkeypatch.setattr(migrate, "migrations", lambda: [*KNOWN, LATER])
    monkeypatch.setattr(backup, "migrations", lambda: [*KNOWN, LATER])
    path.with_name(f"{path.name}.before-{LATER[0]}.partial").mkdir()
    with pytest.raises(OSError, match="directory"):
        await open_sqlite(path)
    assert query(path, "PRAGMA user_version") == len(KNOWN)


async def test_a_restored_database_is_another_instance_and_the_replaced_one_is_kept(path: Path, tmp_path: Path) -> None:
    store = await open_sqlite(path)
    first = await dispatch(store, new_job())
    await store.back_up(tmp_path / "a.db")
    await dispatch(store, new_job())
    await store.close()
    kept = backup.restore(tmp_path / "a.db", path, SUFFIX)
    assert kept == path.with_name(f"{path.name}.{SUFFIX}")
    assert query(kept, "SELECT count(*) FROM jobs") == 2
    instance = "SELECT value FROM meta WHERE name = 'instance'"
    assert query(path, instance) != query(kept, instance) == query(tmp_path / "a.db", instance)
    store = await open_sqlite(path)
    async with store.reading() as db:
        assert [row["id"] for row in await db.execute_fetchall("SELECT id FROM jobs")] == [first.id]
    await store.close()
    assert backup.restore(kept, path, "before-restore-2") is not None  # and back again
    assert query(path, "SELECT count(*) FROM jobs") == 2


async def test_what_a_killed_daemon_left_in_its_log_is_kept(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as killed:
        killed.execute("PRAGMA journal_mode = WAL")
        killed.execute("PRAGMA wal_autocheckpoint = 0")
        migrate.migrate(killed)
        backup.back_up(path, tmp_path / "a.db")
        killed.execute("INSERT INTO rails VALUES ('r1', 'version: 1', 1)")
        copies = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
        for each in copies:
            (tmp_path / f"killed{each.name}").write_bytes(each.read_bytes())
    database = tmp_path / f"killed{path.name}"
    kept = backup.restore(tmp_path / "a.db", database, SUFFIX)
    assert kept is not None
    assert query(kept, "SELECT count(*) FROM rails") == 1
    assert query(database, "SELECT count(*) FROM rails") == 0


def test_without_a_database_the_backup_becomes_it(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate.migrate(db)
    assert backup.restore(path, tmp_path / "new.db", SUFFIX) is None
    assert query(tmp_path / "new.db", "PRAGMA user_version") == len(KNOWN)


def damaged(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate.migrate(db)
        db.executemany("INSERT INTO rails VALUES (?, ?, 1)", [(str(n), "x" * 900) for n in range(200)])
    content = bytearray(path.read_bytes())
    content[-40_000:-20_000] = bytes(20_000)
    path.write_bytes(content)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate.migrate(db)
        db.execute(f"PRAGMA user_version = {len(KNOWN) + 1}")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE meta (name)")
        db.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "there is no file"),
        (lambda path: path.write_text("not a database, but some text"), "cannot be read as a database"),
        (lambda path: path.touch(), "is no database of Stitcher"),
        (foreign, "is no database of Stitcher"),
        (newer, "use a newer Stitcher"),
        (damaged, "is damaged"),
    ],
)
def test_a_file_that_is_no_good_backup_changes_nothing(path: Path, tmp_path: Path, make: Any, reason: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate.migrate(db)
    before = path.read_bytes()
    make(tmp_path / "bad.db")
    with pytest.raises(backup.UnusableBackup, match=reason):
        backup.restore(tmp_path / "bad.db", path, SUFFIX)
    assert path.read_bytes() == before
    assert not path.with_name(f"{path.name}.{SUFFIX}").exists()
