"""The dispatch queue: Huey on SQLite, embedded; this folder alone imports huey.

A message is a nudge, `(job id, attempt)`: the job's row is the truth. Huey forgets a message before it runs it,
so its file is thrown away and filled again from the store at every start, and a message that is lost or comes
twice does no harm, because a job is claimed by compare-and-set. Of Huey only queue, priority and workers are
used: no results, retries, schedules, locks or revocations.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

from huey import SqliteHuey

from stitcherd.queue.parts import EmbeddedConsumer, Json, Storage
from stitcherd.store.writer import StorageUnavailable

NAME = "stitcher"
HEALTH_SECONDS = 5.0
PRIORITY_MAX = 10
REFILL = 500  # messages in one transaction when the queue is filled at start

log = logging.getLogger(__name__)

Run = Callable[[str, int], Awaitable[object]]


class Queue:
    """Hands jobs to `run` on the event loop, at most `workers` at a time, highest priority first."""

    def __init__(self, path: Path, workers: int, run: Run) -> None:
        for leftover in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            leftover.unlink(missing_ok=True)
        self._loop = asyncio.get_running_loop()
        self._run = run
        self._huey = SqliteHuey(
            NAME,
            storage_class=Storage,
            serializer=Json(),
            results=False,
            filename=str(path),
            fsync=False,  # the file does not outlive this process
        )
        self._task = self._huey.task(name="run")(self._drive)
        # Huey's enqueue blocks, on SQLite and on its lock: never on the loop, and in the order of the calls.
        self._feeder = ThreadPoolExecutor(1, thread_name_prefix="queue-feeder")
        self._consumer = EmbeddedConsumer(self._huey, workers=workers, periodic=False, check_worker_health=True)
        self._health: asyncio.Task[None] | None = None
        self._missed: list[tuple[str, int, int]] = []

    def start(self) -> None:
        """Start the workers."""
        self._consumer.start()
        self._health = asyncio.create_task(self._watch())

    def put(self, job_id: str, attempt: int, priority: int) -> None:
        """Nudge a worker to run this attempt; returns at once, and never fails: the row stays the truth."""
        if not self._consumer.stop_flag.is_set():
            self._feeder.submit(self._enqueue, job_id, attempt, priority)

    async def refill(self, waiting: list[tuple[str, int, int]]) -> None:
        """Put many (job id, attempt, priority), in their order."""
        for start in range(0, len(waiting), REFILL):
            part = waiting[start : start + REFILL]
            try:
                await self._loop.run_in_executor(self._feeder, self._enqueue_many, part)
            except sqlite3.Error:
                log.exception("%d jobs could not be put in the queue; trying again", len(part))
                self._missed += part

    async def stop(self) -> None:
        """Start no further job and wait for the workers; call it when the running jobs have ended."""
        self._consumer.stop_flag.set()
        self._huey.storage.close_for_good()
        if self._health is not None:
            self._health.cancel()
        # Off the loop: the workers wait for coroutines that run on it.
        await asyncio.to_thread(self._consumer.stop, graceful=True)
        self._feeder.shutdown()
        self._huey.storage.close()

    def hold(self) -> None:
        """Start no further job from now on."""
        self._consumer.stop_flag.set()

    def _enqueue(self, job_id: str, attempt: int, priority: int) -> None:
        try:
            self._huey.enqueue(self._task.s(job_id, attempt, priority=priority))
        except sqlite3.Error:
            log.exception("job %s could not be put in the queue; trying again", job_id)
            self._missed.append((job_id, attempt, priority))

    def _enqueue_many(self, waiting: list[tuple[str, int, int]]) -> None:
        self._huey.storage.enqueue_many(
            (self._huey.serialize_task(self._task.s(job_id, attempt)), priority)
            for job_id, attempt, priority in waiting
        )

    def _drive(self, job_id: str, attempt: int) -> None:
        """Run one message to its end, in a worker's thread; nothing may escape, or the worker dies."""
        if self._consumer.stop_flag.is_set():
            return
        with contextlib.suppress(CancelledError):
            asyncio.run_coroutine_threadsafe(self._run_one(job_id, attempt), self._loop).result()

    async def _run_one(self, job_id: str, attempt: int) -> None:
        try:
            await self._run(job_id, attempt)
        except StorageUnavailable as fault:
            # Huey has forgotten the message; the row still stands QUEUED, and it was its turn.
            log.error("job %s could not be started (%s); trying again", job_id, fault)  # noqa: TRY400 (the disk's fault, not ours)
            self._missed.append((job_id, attempt, PRIORITY_MAX))

    async def _watch(self) -> None:
        # With start() instead of run(), nobody else revives a worker that died; and what a full disk refused
        # is put again.
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            self._consumer.check_worker_health()
            missed, self._missed = self._missed, []
            for message in missed:
                self.put(*message)
