"""A database that is damaged, or lacks what was stored, is not used: a copy is kept, and the remedy named."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stitcherd.store import opening
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.events import add_events, new_event
from stitcherd.store.high_water import HighWaterMark
from stitcherd.store.opening import DamagedDatabase
from stitcherd.store.sqlite import open_sqlite

pytestmark = pytest.mark.sqlite

PAGE = 4096
ALL_JOBS = "SELECT count(*) AS n FROM events"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stitcher.db"


def add_event(db: Db) -> None:
    add_events(db, new_event("test.added", actor="test", now=1, payload={"text": "x" * 1000}))


async def fill(path: Path, *, crash: bool, count: int = 40) -> None:
    """Store events in single commits; a crash leaves the database and its log as they were just before the end."""
    store = await open_sqlite(path)
    for _ in range(count):
        await store.write(add_event)
    log = path.with_name(path.name + "-wal")
    if crash:
        for file in (path, log):
            shutil.copy(file, f"{file}.kept")
    await store.close()
    if crash:
        for file in (path, log):
            Path(f"{file}.kept").replace(file)


async def count(path: Path) -> int:
    store = await open_sqlite(path)
    async with store.reading() as db:
        [row] = await db.execute_fetchall(ALL_JOBS)
    await store.close()
    return int(row["n"])


def overwrite(path: Path, at: int, size: int = 64) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(each ^ 0xA5 for each in range(size)))


def empty_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def damage_log(path: Path) -> None:
    overwrite(path.with_name(path.name + "-wal"), 0)


def damage_middle_of_log(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    overwrite(log, log.stat().st_size // 2)


@pytest.mark.parametrize("crash", [False, True])
async def test_what_was_stored_is_there_again(path: Path, crash: bool) -> None:
    await fill(path, crash=crash)
    assert HighWaterMark(path).events == 40
    assert await count(path) == 40
    assert not list(path.parent.glob("*.corrupt-*"))


@pytest.mark.parametrize("lose", [empty_log, damage_log, damage_middle_of_log])
async def test_a_database_without_its_last_events_is_refused_until_the_mark_is_deleted(
    path: Path, lose: Callable[[Path], None]
) -> None:
    await fill(path, crash=True)
    lose(path)
    for _ in range(2):
        with pytest.raises(DamagedDatabase, match=r"ends with event \d+, but 40 were stored, the last at 2") as refused:
            await open_sqlite(path)
    assert "delete stitcher.db-mark to go on without what is missing" in str(refused.value)
    [copy] = [each for each in path.parent.glob("stitcher.db.corrupt-*") if not each.name.endswith("-wal")]
    assert str(copy) in str(refused.value)
    path.with_name("stitcher.db-mark").unlink()
    assert await count(path) < 40


@pytest.mark.parametrize("remove", [lambda path: path.unlink(), lambda path: os.truncate(path, 0)])
async def test_a_missing_or_empty_database_is_no_new_one(path: Path, remove: Callable[[Path], None]) -> None:
    await fill(path, crash=True)
    log = path.with_name("stitcher.db-wal").read_bytes()
    remove(path)
    with pytest.raises(DamagedDatabase, match="but 40 events were stored in it"):
        await open_sqlite(path)
    [copy] = path.parent.glob("stitcher.db.corrupt-*-wal")
    assert copy.read_bytes() == log
    for each in path.parent.glob("stitcher.db*"):
        each.unlink()
    assert await count(path) == 0


async def test_a_backup_that_is_older_is_used_once_the_mark_is_deleted(path: Path) -> None:
    await fill(path, crash=False, count=5)
    shutil.copy(path, path.with_name("backup"))
    await fill(path, crash=False, count=5)
    path.with_name("backup").replace(path)
    with pytest.raises(DamagedDatabase, match=r"ends with event 5, but 10 were stored.* or it is an older copy"):
        await open_sqlite(path)
    path.with_name("stitcher.db-mark").unlink()
    assert await count(path) == 5


async def test_a_damaged_page_is_found_after_a_crash(path: Path) -> None:
    await fill(path, crash=False)
    await fill(path, crash=True, count=1)
    for page in range(1, path.stat().st_size // PAGE):
        overwrite(path, page * PAGE)
    with pytest.raises(DamagedDatabase, match=r"is damaged: .*; a copy is kept as .*; restore a backup") as found:
        await open_sqlite(path)
    assert "\n" not in str(found.value)


async def test_a_file_that_is_no_database_is_refused_with_a_copy(path: Path) -> None:
    path.write_bytes(b"something else" * 100)
    with pytest.raises(DamagedDatabase, match="file is not a database"):
        await open_sqlite(path)
    [copy] = path.parent.glob("stitcher.db.corrupt-*")
    assert copy.read_bytes() == path.read_bytes()


async def test_a_copy_that_cannot_be_made_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"something else" * 100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DamagedDatabase, match=r"no copy could be kept \(No space left on device\)"):
        await open_sqlite(path)


async def test_damage_found_while_reading_stops_all_writes_and_is_told_at_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CHECKED_MAX", 0)
    await fill(path, crash=False, count=200)
    pages = path.stat().st_size // PAGE
    for page in range(pages - 10, pages):
        overwrite(path, page * PAGE)
    store = await open_sqlite(path)
    with pytest.raises(StorageUnavailable, match="malformed"):
        async with store.reading() as db:
            await db.execute_fetchall("SELECT payload FROM events")
    with pytest.raises(StorageUnavailable, match=r"the database is damaged: .*; restart stitcherd"):
        await store.write(add_event)
    assert store.outage is not None
    await store.close()
    with pytest.raises(DamagedDatabase, match="is damaged"):
        await open_sqlite(path)


async def test_what_only_looked_like_damage_is_forgotten_once_the_file_was_checked(path: Path) -> None:
    store = await open_sqlite(path)
    await store.write(add_event)
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    files: Any = store._readers
    reader = files._readers[0]
    with pytest.raises(StorageUnavailable, match="malformed"):
        async with store.reading():
            raise malformed
    assert reader not in files._readers, "SQLite takes what it could not read for damage as long as it is open"
    await store.write(add_event)

    def fail(_: Db) -> None:
        raise malformed

    with pytest.raises(StorageUnavailable, match="malformed"):
        await store.write(fail)
    assert HighWaterMark(path).suspect
    await store.write(add_event)
    assert not HighWaterMark(path).suspect
    await store.close()
    assert await count(path) == 3


async def test_suspected_damage_is_forgotten_once_the_database_was_checked(path: Path) -> None:
    await fill(path, crash=False)
    HighWaterMark(path).note_damage()
    assert await count(path) == 40
    assert not HighWaterMark(path).suspect


@pytest.mark.parametrize("content", [b"", b"no number\n", b"\0" * 30])
async def test_a_mark_that_cannot_be_read_says_nothing(path: Path, content: bytes) -> None:
    await fill(path, crash=False)
    path.with_name("stitcher.db-mark").write_bytes(content)
    await fill(path, crash=False, count=1)
    assert HighWaterMark(path).events == 41


async def test_a_mark_that_cannot_be_written_stays_behind(path: Path) -> None:
    path.with_name("stitcher.db-mark").mkdir()
    await fill(path, crash=True)
    assert await count(path) == 40
