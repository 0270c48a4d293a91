"""The queue of a store that several processes share: each takes the next job for itself, and has no other messages.

Huey's workers run the jobs. What they dequeue is taken, and started, in one transaction of the store: nothing is lost
with a process, and no job is taken twice.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager
from typing import Any

from huey import Huey
from huey.constants import EmptyData
from huey.storage import BaseStorage

from shared.models import RunnerJob
from stitcherd.queue import QUEUE_NAME, QueuedJob, RunAttempt
from stitcherd.queue.consumer import EmbeddedConsumer, JsonSerializer
from stitcherd.queue.runs import Runs
from stitcherd.store.errors import StorageUnavailable

LOOK_SECONDS = 5.0  # between two looks for a job, should a notification be lost, or a limit be free by time
COALESCE_SECONDS = 0.01  # between two looks because of notifications

log = logging.getLogger(__name__)

Take = Callable[[], Awaitable[tuple[str, int] | None]]


class TakingQueue:
    """Runs jobs with `run` on the event loop, at most `workers` at a time; none takes no jobs.

    `take` takes the next job of the store and returns its id and attempt, None where there is none. `changed` is set
    when there may be one.
    """

    def __init__(self, workers: int, take: Take, run: RunAttempt, changed: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._workers = workers
        self._take = take
        self._changed = changed
        self._looking = asyncio.Lock()
        self._resumed: deque[tuple[str, int]] = deque()
        self.runs = Runs(run)  # from where they are taken or resumed
        storage = {"storage_class": TakingStorage, "dequeue": self._dequeue}
        self._huey = Huey(QUEUE_NAME, serializer=JsonSerializer(), results=False, **storage)
        self._task = self._huey.task(name="run")(self._run_message)
        self._consumer = EmbeddedConsumer(self._huey, workers=workers, periodic=False, check_worker_health=True)

    async def start(self, first: Iterable[QueuedJob] = ()) -> None:
        """Start the workers with the `first` jobs, which this process owns already, and what is queued."""
        for job_id, attempt, _ in first:
            self.resume(job_id, attempt)
        if self._workers:
            self._consumer.start()

    def resume(self, job_id: str, attempt: int) -> None:
        """Run a job that this process owns already, before any other."""
        self.runs.add(job_id, attempt)
        self._resumed.append((job_id, attempt))
        self._changed.set()

    def holding_starts(self) -> AbstractAsyncContextManager[frozenset[str]]:
        """Let no job be taken meanwhile; yield the ids of all jobs that run here, or are about to."""
        return self.runs.holding_starts()

    def put(self, _job_id: str, _attempt: int, _priority: int) -> None:
        """Look for a job now: one was queued."""
        self._changed.set()

    def put_job(self, _job: RunnerJob) -> None:
        """Look for a job now: one was queued."""
        self._changed.set()

    def hold(self) -> None:
        """Start no further jobs."""
        self._consumer.stop_flag.set()
        self._changed.set()

    async def stop(self) -> None:
        """Stop the workers and wait for them; call it when the running jobs have ended."""
        self.hold()
        if self._workers:
            await asyncio.to_thread(self._consumer.stop, graceful=True)

    async def keep_healthy(self) -> None:
        """Restart workers that died; until cancelled."""
        while self._workers:
            await asyncio.sleep(LOOK_SECONDS)
            self._consumer.check_worker_health()

    def _dequeue(self) -> bytes | None:
        """Wait for a job, in a worker's thread; return its message, None where no job is to be started any more."""
        with contextlib.suppress(CancelledError):
            found = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if found is not None:
                message: bytes = self._huey.serialize_task(self._task.s(*found))
                return message
        return None

    async def _next(self) -> tuple[str, int] | None:
        """Return the next job; one worker at a time looks for it, the others wait for their turn."""
        async with self._looking:
            while not self._consumer.stop_flag.is_set():
                self._changed.clear()
                if self._resumed:
                    return self._resumed.popleft()
                if (found := await self._look()) is not None:
                    return found
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._changed.wait()
                        await asyncio.sleep(COALESCE_SECONDS)
        return None

    async def _look(self) -> tuple[str, int] | None:
        try:
            async with self.runs.starting:
                if (found := await self._take()) is not None:
                    self.runs.add(*found)
                return found
        except StorageUnavailable:  # the store logs it
            self._changed.clear()
        except Exception:
            log.exception("no job can be taken, through a bug in Stitcher")
            self._changed.clear()
        return None

    def _run_message(self, job_id: str, attempt: int) -> None:
        """Run the job of one message, in a worker's thread; an exception that escapes would end the worker."""
        with contextlib.suppress(CancelledError):
            asyncio.run_coroutine_threadsafe(self._run_job(job_id, attempt), self._loop).result()

    async def _run_job(self, job_id: str, attempt: int) -> None:
        if self._consumer.stop_flag.is_set():  # others recover what was taken while the queue was held
            self.runs.discard(job_id, attempt)
            return
        try:
            await self.runs.run(job_id, attempt)
        except StorageUnavailable as error:
            log.error("job %s cannot be run now: %s; it is recovered", job_id, error)  # noqa: TRY400 (no bug of ours)


class TakingStorage(BaseStorage):  # type: ignore[misc]  # huey has no types
    """Storage of Huey that has no messages: whatever is dequeued was taken from the store just then."""

    blocking = True  # Worker.loop then does not sleep between two looks

    def __init__(self, name: str, dequeue: Callable[[], bytes | None], **options: Any) -> None:
        super().__init__(name, **options)
        self._dequeue = dequeue

    def dequeue(self) -> bytes | None:
        """Wait for a job; return its message."""
        return self._dequeue()

    def peek_many(self, keys: Iterable[str]) -> dict[str, bytes]:  # noqa: ARG002 (huey's signature)
        """Return nothing: before each message Huey asks whether it was revoked, and none ever is."""
        return {}

    def pop_data(self, key: str) -> object:  # noqa: ARG002 (huey's signature)
        """Return nothing: after each message Huey would delete its revocation."""
        return EmptyData
