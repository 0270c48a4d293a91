"""The store: written by the thread of the writer, and read through a few other connections."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from stitcherd.store.db import Db, Reader
from stitcherd.store.writer import StorageOutage, Writer

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

READERS = 3


class Readers(Protocol):
    """The connections that read, and cannot write."""

    def reading(self, *, one_statement: bool) -> AbstractAsyncContextManager[Reader]:
        """Lend a connection inside a read transaction, or for `one_statement`, which needs none."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Reader]:
        """Open a connection of its own inside a read transaction."""
        ...

    async def back_up(self, target: Path) -> int:
        """Write a copy of the database to a new file; return its size in bytes."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


Work = Callable[[], Awaitable[None]]


class Commits:
    """Tells those who wait for what others write of commits that add events, or that change what jobs may run."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []
        self._waiting_for_jobs: list[asyncio.Event] = []

    def follow(self) -> asyncio.Event:
        """Return a new event that is set after each commit that may have added events."""
        committed = asyncio.Event()
        self._waiting.append(committed)
        return committed

    def follow_jobs(self) -> asyncio.Event:
        """Return a new event that is set after each commit that changes what jobs may run."""
        changed = asyncio.Event()
        self._waiting_for_jobs.append(changed)
        return changed

    def announce(self) -> None:
        """Set the events of commits that add events."""
        for committed in self._waiting:
            committed.set()

    def announce_jobs(self) -> None:
        """Set the events of jobs."""
        for changed in self._waiting_for_jobs:
            changed.set()


async def lead_alone(work: Work) -> None:
    """Do the work of the leader: no other process uses the store."""
    await work()


class Store:
    """A store on the event loop that opened it. Close it at the end."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        commits: Commits,
        lead: Callable[[Work], Awaitable[None]] = lead_alone,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._commits = commits
        self._lead = lead

    def commits(self) -> asyncio.Event:
        """Return a new event that is set after each commit of any process that may have added events."""
        return self._commits.follow()

    def job_changes(self) -> asyncio.Event:
        """Return a new event that is set when any process changes what jobs may run.

        That is when a job was queued, has ended or is to be cancelled, and when the pause or the rails in force change.
        Only a store that several processes share tells of that.
        """
        return self._commits.follow_jobs()

    async def lead(self, work: Work) -> None:
        """Do the work of the leader whenever this process is the leader, of those that use the store; for ever.

        The work is cancelled where it is no more: another one begins with it then, or a little before.
        """
        await self._lead(work)

    @property
    def outage(self) -> StorageOutage | None:
        """Why nothing can be stored, None if the last write was."""
        return self._writer.outage

    async def back_up(self, target: Path) -> int:
        """Write the database as it is now to a new file, beside all other work; return its size in bytes.

        Raises FileExistsError, OSError and StorageUnavailable, and Refusal where the database has programs for that.
        """
        return await self._readers.back_up(target)

    @property
    def is_alive(self) -> bool:
        """Whether the writer's thread runs: if not, nothing is stored any more until the next start."""
        return self._writer.is_alive

    async def close(self) -> None:
        """Close the readers, then the writer."""
        await self._readers.close()
        await self._writer.close()

    async def write(self, function: Callable[Concatenate[Db, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of this package in the writer's next transaction; return its result once it is durable.

        Raises what the function raises, with none of its writes done, Conflict in place of the error of a constraint,
        or StorageUnavailable. Being cancelled while waiting does not undo the write.
        """
        return await self._writer.submit(function, *args, **kwargs)

    async def write_item(self, function: Callable[[Db, Sequence[T]], Sequence[R]], item: T) -> R:
        """Run a function of many items, for this one and those that wait beside it; return the result of this one.

        Raises as `write` does, for this item alone.
        """
        return await self._writer.submit_item(function, item)

    def reading(self, *, one_statement: bool = False) -> AbstractAsyncContextManager[Reader]:
        """Lend a connection inside a read transaction: everything read in it is of the same moment.

        `one_statement` saves what begins and ends the transaction, for who looks often and runs a single statement.
        Raises StorageUnavailable where the database cannot be read.
        """
        return self._readers.reading(one_statement=one_statement)

    def snapshot(self) -> AbstractAsyncContextManager[Reader]:
        """Open a connection inside a read transaction, for a long read; raises StorageUnavailable as `reading` does."""
        return self._readers.snapshot()
