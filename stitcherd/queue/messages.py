"""The queue of a store that one process uses: Huey on SQLite, embedded.

A message is only a wake-up, `(job id, attempt)`; the store has the job's state. Huey forgets a message before it runs
it, so its file is deleted and filled again from the store at every start. A message that is lost or delivered
twice does no harm, because a job is claimed by compare-and-set. Only the next WINDOW jobs have a message: the others
are read from the store when it is their turn.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.constants import EmptyData
from huey.storage import SqliteStorage

from shared.models import RunnerJob
from stitcherd.queue import MAX_PRIORITY, QUEUE_NAME, QueuedJob, RunAttempt
from stitcherd.queue.consumer import EmbeddedConsumer, JsonSerializer
from stitcherd.queue.runs import Runs
from stitcherd.store.errors import StorageUnavailable

HEALTH_CHECK_SECONDS = 2.0  # between two looks for workers that died, and for messages that were lost
WINDOW = 64  # messages that are not taken yet, of one priority and those above it
MAX_DEQUEUE_WAIT_SECONDS = 1.0  # after which a worker looks again, should a wake-up be lost

log = logging.getLogger(__name__)

ReadQueued = Callable[[int], Awaitable[list[QueuedJob]]]


async def nothing_queued(_limit: int) -> list[QueuedJob]:
    """Return no job: for a queue that is not filled from a store."""
    return []


class Queue:
    """Passes jobs to `run` on the event loop, at most `workers` at a time, highest priority first.

    `read_queued` returns the first jobs, as many as given, that are queued and not held, in the order of their start.
    """

    def __init__(self, path: Path, workers: int, run: RunAttempt, read_queued: ReadQueued = nothing_queued) -> None:
        for leftover in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            leftover.unlink(missing_ok=True)
        self._loop = asyncio.get_running_loop()
        self.runs = Runs(run)
        self._read_queued = read_queued
        self._waiting: dict[tuple[str, int], int] = {}  # the priorities of the messages that are not taken yet
        self._outgoing: list[QueuedJob] = []
        # The highest priority of the queued jobs without a message, and of those that came since they were last read.
        self._left_out: int | None = None
        self._left_out_since: int | None = None
        self._filling: asyncio.Task[None] | None = None
        self._huey = SqliteHuey(
            QUEUE_NAME,
            storage_class=NotifyingStorage,
            serializer=JsonSerializer(),
            results=False,
            filename=str(path),
            fsync=False,  # the file does not outlive this process
        )
        self._task = self._huey.task(name="run")(self._run_message)
        # Huey's enqueue blocks, on SQLite and on its lock: never call it on the loop. One thread keeps calls in order.
        self._feeder = ThreadPoolExecutor(1, thread_name_prefix="queue-feeder")
        self._feeder.submit(self._is_empty)  # starts its thread: later there may be no memory for one
        self._consumer = EmbeddedConsumer(self._huey, workers=workers, periodic=False, check_worker_health=True)
        self._failed: list[QueuedJob] = []

    async def start(self, first: Iterable[QueuedJob] = ()) -> None:
        """Start the workers with the `first` jobs and what is queued."""
        for job in first:
            self._send(job)
        self._consumer.start()
        await self._read_next()

    def put(self, job_id: str, attempt: int, priority: int) -> None:
        """Queue an attempt and return at once; never fails: what cannot be queued is queued again later.

        It gets no message yet where WINDOW others come first, or a job without a message does.
        """
        if self._consumer.stop_flag.is_set() or self._waiting.get((job_id, attempt)) == priority:
            return  # the scheduler offers a held job again and again until it is taken
        if self._before(priority) >= WINDOW or (self._left_out is not None and priority <= self._left_out):
            self._left_out = priority if self._left_out is None else max(self._left_out, priority)
            self._left_out_since = priority if self._left_out_since is None else max(self._left_out_since, priority)
        else:
            self._send((job_id, attempt, priority))

    def put_job(self, job: RunnerJob) -> None:
        """Queue the attempt that a job waits for."""
        self.put(job.id, job.attempt, job.priority)

    def resume(self, job_id: str, attempt: int) -> None:
        """Run a job that this process owns already, before any other."""
        self._send((job_id, attempt, MAX_PRIORITY))

    @contextlib.asynccontextmanager
    async def holding_starts(self) -> AsyncIterator[frozenset[str]]:
        """Let no job be started meanwhile; yield the ids of all jobs that run here, or have a message."""
        async with self.runs.holding_starts() as running:
            waiting = [*self._waiting, *(job[:2] for job in self._failed)]
            yield running.union(job_id for job_id, _ in waiting)

    async def stop(self) -> None:
        """Stop the workers and wait for them; call it when the running jobs have ended."""
        self._consumer.stop_flag.set()
        self._huey.storage.stop_waiting()
        if self._filling is not None:
            self._filling.cancel()
        # Off the loop: the workers wait for coroutines that run on it.
        await asyncio.to_thread(self._consumer.stop, graceful=True)
        self._feeder.shutdown()
        self._huey.storage.close()

    def hold(self) -> None:
        """Start no further jobs."""
        self._consumer.stop_flag.set()

    def _send(self, job: QueuedJob) -> None:
        """Add a message; those of one iteration of the event loop share a transaction."""
        job_id, attempt, priority = job
        self._waiting[job_id, attempt] = priority
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(job)

    def _flush(self) -> None:
        batch, self._outgoing = self._outgoing, []
        if not self._consumer.stop_flag.is_set():
            self._feeder.submit(self._enqueue, batch)

    def _enqueue(self, batch: list[QueuedJob]) -> None:
        try:
            self._huey.storage.enqueue_many(
                [
                    (self._huey.serialize_task(self._task.s(job_id, attempt)), priority)
                    for job_id, attempt, priority in batch
                ]
            )
        except sqlite3.Error as error:
            log.error("%d jobs could not be put in the queue: %s; trying again", len(batch), error)  # noqa: TRY400 (as below)
            self._failed += batch

    def _fill_window(self) -> None:
        """Begin to give messages to the jobs that are next, if any have none and half of the window is free."""
        if self._has_room() and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    def _has_room(self) -> bool:
        return self._left_out is not None and self._before(self._left_out) <= WINDOW // 2

    def _before(self, priority: int) -> int:
        """Return how many messages are taken before one of this priority."""
        return sum(other >= priority for other in self._waiting.values())

    async def _fill(self) -> None:
        try:
            while self._has_room():
                await self._read_next()
        except StorageUnavailable as error:
            log.error("the queued jobs could not be read: %s; trying again", error)  # noqa: TRY400 (as below)

    async def _read_next(self) -> None:
        limit = self._before(0 if self._left_out is None else self._left_out) + WINDOW
        self._left_out_since = None
        found = await self._read_queued(limit)
        for job in found:
            if job[:2] not in self._waiting:
                self._send(job)
        self._left_out = self._left_out_since
        if len(found) == limit:
            last = found[-1][2]
            self._left_out = last if self._left_out is None else max(last, self._left_out)

    def _run_message(self, job_id: str, attempt: int) -> None:
        """Run the job of one message, in a worker's thread; an exception that escapes would end the worker."""
        if self._consumer.stop_flag.is_set():
            return
        with contextlib.suppress(CancelledError):
            asyncio.run_coroutine_threadsafe(self._run_job(job_id, attempt), self._loop).result()

    async def _run_job(self, job_id: str, attempt: int) -> None:
        async with self.runs.starting:
            self.runs.add(job_id, attempt)
            self._waiting.pop((job_id, attempt), None)
        self._fill_window()
        try:
            await self.runs.run(job_id, attempt)
        except StorageUnavailable:  # the store logs it
            # Huey has forgotten the message. A job that is still QUEUED was the next to start; one that runs by the
            # store is resumed, or it is recovered after that.
            self._failed.append((job_id, attempt, MAX_PRIORITY))

    async def keep_healthy(self) -> None:
        """Restart workers that died, and send messages again that were lost with them; until cancelled."""
        # With start() instead of run(), Huey does not restart workers itself.
        while True:
            await asyncio.sleep(HEALTH_CHECK_SECONDS)
            self._consumer.check_worker_health()
            failed, self._failed = self._failed, []
            for job in failed:
                self._send(job)
            is_empty = await self._loop.run_in_executor(self._feeder, self._is_empty)
            if self._waiting and is_empty:
                self._waiting.clear()  # taken, and lost by a worker that died
                self._left_out = MAX_PRIORITY
            self._fill_window()

    def _is_empty(self) -> bool:
        """Return whether the file has no message; False if that cannot be seen now."""
        try:
            return not self._huey.storage.queue_size()
        except sqlite3.Error:
            return False


class NotifyingStorage(SqliteStorage):  # type: ignore[misc]
    """Huey's SQLite storage, which wakes a waiting worker as soon as there is a message."""

    blocking = True  # Worker.loop then does not sleep between two looks

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._arrived = threading.Condition()
        self._sequence = 0
        self._closed = False
        self._failed = False  # the last time that a message was to be taken
        super().__init__(*args, **kwargs)

    def enqueue_many(self, messages: Sequence[tuple[bytes, float]]) -> None:
        """Add messages with their priorities in one transaction, and wake a worker for each."""
        with self.db(commit=True) as cursor:
            cursor.executemany(
                "INSERT INTO task (queue, data, priority) VALUES (?, ?, ?)",
                [(self.name, data, priority) for data, priority in messages],
            )
        with self._arrived:
            self._sequence += 1
            self._arrived.notify(len(messages))

    def dequeue(self) -> bytes | None:
        """Take the next message; if there is none, wait at most MAX_DEQUEUE_WAIT_SECONDS and return None."""
        with self._arrived:
            seen = self._sequence
        data = self._take_next()
        if data is None:
            with self._arrived:
                if self._sequence == seen and not self._closed:
                    self._arrived.wait(MAX_DEQUEUE_WAIT_SECONDS)
        return data

    def _take_next(self) -> bytes | None:
        """Take the next message; return None if there is none, or if it cannot be taken now."""
        try:
            data: bytes | None = super().dequeue()
        except sqlite3.Error as error:  # the message stays
            if not self._failed:
                log.error("no job can be taken from the queue: %s; trying again", error)  # noqa: TRY400 (caused by the disk)
            self._failed = True
            return None
        self._failed = False
        return data

    def peek_many(self, keys: Iterable[str]) -> dict[str, bytes]:  # noqa: ARG002 (huey's signature)
        """Return nothing: before each message Huey asks whether it was revoked, and none ever is."""
        return {}

    def pop_data(self, key: str) -> object:  # noqa: ARG002 (huey's signature)
        """Return nothing: after each message Huey would delete its revocation, in a transaction of its own."""
        return EmptyData

    def stop_waiting(self) -> None:
        """Wake all workers, and let none wait again."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
