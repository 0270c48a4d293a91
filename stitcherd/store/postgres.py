"""A store in a PostgreSQL database, which several daemons may share."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import psycopg

from stitcherd.errors import Refusal
from stitcherd.store.db import Reader
from stitcherd.store.postgres_connections import (
    KEEPALIVES,
    NETWORK,
    PostgresReader,
    connect_reader,
    is_storage_fault,
    unavailable,
)
from stitcherd.store.postgres_engine import PostgresEngine
from stitcherd.store.postgres_leader import lead
from stitcherd.store.postgres_schema import CHANNEL, JOBS
from stitcherd.store.store import READERS, Commits, Store
from stitcherd.store.writer import Writer

LISTEN_AGAIN_SECONDS = 1.0  # after the connection that listens was lost

log = logging.getLogger(__name__)


async def open_postgres(dsn: str) -> Store:
    """Open the database that a connection string names, with its tables if it has none.

    Raises NewerDatabase, UnusableDatabase or StorageUnavailable.
    """
    commits = Commits()
    async with AsyncExitStack() as opened:
        try:
            readers = []
            for _ in range(READERS):
                readers.append(await connect_reader(dsn))
                opened.push_async_callback(readers[-1].connection.close)
            engine = await asyncio.to_thread(PostgresEngine, dsn)
        except psycopg.Error as error:
            raise unavailable(error) from error
        opened.pop_all()
    listening = asyncio.create_task(_listen(dsn, engine, commits))
    writer = Writer(engine, commits.announce)
    return Store(writer, _PostgresReaders(dsn, readers, listening), commits, partial(lead, dsn))


class _PostgresReaders:
    def __init__(self, dsn: str, readers: list[PostgresReader], listening: asyncio.Task[None]) -> None:
        self._dsn = dsn
        self._readers = readers
        self._listening = listening
        self._idle: asyncio.Queue[PostgresReader] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def reading(self, *, one_statement: bool) -> AsyncIterator[Reader]:
        reader = await self._idle.get()
        try:
            if reader.connection.closed or not (one_statement or await _has_begun(reader)):  # lost since it was used
                reader = await self._reopen(reader)
            async with _transaction(reader):
                yield reader
        finally:
            self._idle.put_nowait(reader)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        reader = await self._connect()
        try:
            async with _transaction(reader):
                yield reader
        finally:
            await reader.connection.close()

    async def back_up(self, _target: Path) -> int:
        raise Refusal("conflict", "the store is in PostgreSQL, which has its own backups", "use pg_dump")

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.wait({self._listening})
        for reader in self._readers:
            await reader.connection.close()

    async def _reopen(self, reader: PostgresReader) -> PostgresReader:
        opened = await self._connect()
        self._readers[self._readers.index(reader)] = opened
        return opened

    async def _connect(self) -> PostgresReader:
        """Return a new connection inside a transaction."""
        try:
            reader = await connect_reader(self._dsn)
            await reader.begin()
        except psycopg.Error as error:
            raise unavailable(error) from error
        return reader


async def _has_begun(reader: PostgresReader) -> bool:
    """Begin a transaction; return False if the connection was lost, or is."""
    try:
        await reader.begin()
    except psycopg.Error:
        await reader.connection.close()
        return False
    return True


@asynccontextmanager
async def _transaction(reader: PostgresReader) -> AsyncIterator[None]:
    """Read in the transaction that has begun, and end it; raises StorageUnavailable."""
    try:
        yield
    except psycopg.Error as error:
        if not is_storage_fault(error):
            raise
        raise unavailable(error) from error
    finally:
        try:
            await reader.connection.rollback()  # sends nothing where no transaction has begun
        except psycopg.Error:
            await reader.connection.close()


async def _listen(dsn: str, engine: PostgresEngine, commits: Commits) -> None:
    """Announce the commits of other daemons, for ever."""
    is_lost = False
    while True:
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, **NETWORK) as connection:
                await connection.execute(KEEPALIVES, prepare=False)
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                if is_lost:  # what was committed meanwhile
                    commits.announce()
                    commits.announce_jobs()
                async for notification in connection.notifies():
                    if notification.payload == JOBS:
                        commits.announce_jobs()
                    elif notification.pid != engine.process:
                        commits.announce()
        is_lost = True
        await asyncio.sleep(LISTEN_AGAIN_SECONDS)
