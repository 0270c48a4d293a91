"""The store: one SQLite file, written by the writer's thread, read through a few other connections."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import aiosqlite

from stitcherd.store.writer import Writer

P = ParamSpec("P")
R = TypeVar("R")

READERS = 3


class Store:
    """What the daemon knows; open it on the loop that will use it, and close it at the end."""

    def __init__(self, writer: Writer, readers: list[aiosqlite.Connection], committed: asyncio.Event) -> None:
        self._writer = writer
        self._readers = readers
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self.committed = committed

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database file; raises NewerDatabase or sqlite3.Error where it cannot be used."""
        committed = asyncio.Event()
        writer = Writer(path, committed.set)
        return cls(writer, [await _reader(path) for _ in range(READERS)], committed)

    async def close(self) -> None:
        """Close the readers, then the writer, which folds the log into the file."""
        for reader in self._readers:
            await reader.close()
        await self._writer.close()

    async def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function of this package in the writer's next transaction; return once it is durable.

        Raises what the function raises, then with none of its writes done, or StorageUnavailable. Being
        cancelled while waiting does not undo the write.
        """
        return await self._writer.submit(function, *args, **kwargs)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[aiosqlite.Connection]:
        """Lend a connection inside one read transaction: everything read in it is of one moment."""
        reader = await self._idle.get()
        try:
            try:
                await reader.execute("BEGIN")
                yield reader
            finally:
                # Whoever was cancelled amid BEGIN has begun all the same: aiosqlite runs what was handed to it.
                await reader.rollback()
        finally:
            self._idle.put_nowait(reader)


async def _reader(path: Path) -> aiosqlite.Connection:
    reader = await aiosqlite.connect(path, isolation_level=None)
    reader.row_factory = sqlite3.Row
    await reader.execute("PRAGMA query_only=ON")
    await reader.execute("PRAGMA wal_autocheckpoint=0")
    return reader
