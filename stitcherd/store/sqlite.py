"""A store in one SQLite file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from stitcherd.store import backup
from stitcherd.store.db import Reader
from stitcherd.store.sqlite_connections import is_damage, is_storage_fault, open_reader, unavailable
from stitcherd.store.sqlite_engine import SqliteEngine
from stitcherd.store.store import READERS, Commits, Store
from stitcherd.store.writer import Writer

DATABASE = "stitcher.db"  # in the state directory


async def open_sqlite(path: Path) -> Store:
    """Open or create the database file; raises DamagedDatabase, NewerDatabase or StorageUnavailable."""
    commits = Commits()
    try:
        engine = await asyncio.to_thread(SqliteEngine, path)  # a migration takes long
        writer = Writer(engine, commits.announce)

        def report_damage() -> None:
            engine.is_suspect = True
            writer.probe()

        readers = [await open_reader(path) for _ in range(READERS)]
    except sqlite3.Error as error:
        raise unavailable(error) from error
    return Store(writer, _SqliteReaders(path, readers, report_damage), commits)


class _SqliteReaders:
    def __init__(self, path: Path, readers: list[aiosqlite.Connection], report_damage: Callable[[], None]) -> None:
        self._path = path
        self._readers = readers
        self._report_damage = report_damage
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def reading(self, *, one_statement: bool) -> AsyncIterator[Reader]:  # noqa: ARG002 (costs the same)
        reader = await self._idle.get()
        try:
            try:
                await reader.execute("BEGIN")
                yield reader
            except sqlite3.DatabaseError as error:
                if not is_storage_fault(error):
                    raise
                if is_damage(error):
                    self._report_damage()
                    reader = await self._reopen(reader)
                raise unavailable(error) from error
            finally:
                # A caller cancelled during BEGIN has begun nevertheless: aiosqlite runs what was handed to it.
                await reader.rollback()
        finally:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        """Open a connection of its own; the write-ahead log grows meanwhile."""
        try:
            reader = await open_reader(self._path)
            try:
                await reader.execute("BEGIN")
                yield reader
            finally:
                await reader.close()
        except sqlite3.DatabaseError as error:
            if not is_storage_fault(error):
                raise
            raise unavailable(error) from error

    async def back_up(self, target: Path) -> int:
        try:
            return await asyncio.to_thread(backup.back_up, self._path, target)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        for reader in self._readers:
            await reader.close()

    async def _reopen(self, reader: aiosqlite.Connection) -> aiosqlite.Connection:
        """Return a new connection in place of one; the same one where the file cannot be opened now."""
        try:
            opened = await open_reader(self._path)
        except sqlite3.Error:
            return reader
        self._readers[self._readers.index(reader)] = opened
        await reader.close()
        return opened
