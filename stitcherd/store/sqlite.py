"""The store: one SQLite file, written by the thread of the writer and read through a few other connections."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import aiosqlite

from stitcherd.store import backup
from stitcherd.store.db import Db, Reader
from stitcherd.store.sqlite_connections import is_damage, is_storage_fault, open_reader, unavailable
from stitcherd.store.writer import StorageOutage, Writer

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

DATABASE = "stitcher.db"  # in the state directory
READERS = 3


class Store:
    """A store on the event loop that opened it. Close it at the end."""

    def __init__(
        self, path: Path, writer: Writer, readers: list[aiosqlite.Connection], listeners: list[asyncio.Event]
    ) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._listeners = listeners

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database file.

        Raises DamagedDatabase, NewerDatabase or StorageUnavailable if it cannot be used.
        """
        listeners: list[asyncio.Event] = []

        def notify() -> None:
            for committed in listeners:
                committed.set()

        try:
            writer = Writer(path, notify)
            return cls(path, writer, [await open_reader(path) for _ in range(READERS)], listeners)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def commits(self) -> asyncio.Event:
        """Return a new event that is set after each commit, for one who waits for what others write."""
        committed = asyncio.Event()
        self._listeners.append(committed)
        return committed

    @property
    def outage(self) -> StorageOutage | None:
        """Why nothing can be stored, None if the last write was."""
        return self._writer.outage

    async def back_up(self, target: Path) -> int:
        """Write the database as it is now to a new file, beside all other work; return its size in bytes.

        Raises FileExistsError, OSError and StorageUnavailable.
        """
        try:
            return await asyncio.to_thread(backup.back_up, self._path, target)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    @property
    def is_alive(self) -> bool:
        """Whether the writer's thread runs: if not, nothing is stored any more until the next start."""
        return self._writer.is_alive

    async def close(self) -> None:
        """Close the readers, then the writer, which checkpoints the write-ahead log."""
        for reader in self._readers:
            await reader.close()
        await self._writer.close()

    async def write(self, function: Callable[Concatenate[Db, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of this package in the writer's next transaction; return its result once it is durable.

        Raises what the function raises, with none of its writes done, or StorageUnavailable. Being cancelled while
        waiting does not undo the write.
        """
        return await self._writer.submit(function, *args, **kwargs)

    async def write_item(self, function: Callable[[Db, Sequence[T]], Sequence[R]], item: T) -> R:
        """Run a function of many items, for this one and those that wait beside it; return the result of this one.

        Raises as `write` does, for this item alone.
        """
        return await self._writer.submit_item(function, item)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """Yield a connection inside a read transaction: everything read in it is of the same moment.

        Raises StorageUnavailable where the file cannot be read, or is damaged where it was read.
        """
        reader = await self._idle.get()
        try:
            try:
                await reader.execute("BEGIN")
                yield reader
            except sqlite3.DatabaseError as error:
                if not is_storage_fault(error):
                    raise
                if is_damage(error):
                    self._writer.report_damage()
                    reader = await self._reopen(reader)
                raise unavailable(error) from error
            finally:
                # A caller cancelled during BEGIN has begun nevertheless: aiosqlite runs what was handed to it.
                await reader.rollback()
        finally:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        """Yield a connection of its own inside a read transaction, for a long read; the log grows meanwhile.

        Raises StorageUnavailable as `reading` does.
        """
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

    async def _reopen(self, reader: aiosqlite.Connection) -> aiosqlite.Connection:
        """Return a new connection in place of one; the same one where the file cannot be opened now."""
        try:
            opened = await open_reader(self._path)
        except sqlite3.Error:
            return reader
        self._readers[self._readers.index(reader)] = opened
        await reader.close()
        return opened
