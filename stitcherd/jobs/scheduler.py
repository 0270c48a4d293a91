"""Requeues held jobs when a limit or a pause no longer holds them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from shared.ids import now_ms
from stitcherd import policy
from stitcherd.store import scheduling
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

POLL_SECONDS = 1.0  # between two looks for held jobs while no job ends: the rails may have changed
HELD_FOR_MS = 60_000  # where a job could not be started
NOT_STARTED = "a bug in Stitcher kept it from being started: it is tried again each minute"


class Scheduler:
    """Runs the queue's jobs with `run`, which returns False for a job that is held, and requeues the held ones.

    `current_limits` returns what may run now; `workers` is how many jobs the queue runs at once.
    """

    def __init__(
        self,
        store: Store,
        run: Callable[[str, int], Awaitable[bool]],
        current_limits: Callable[[], policy.ConcurrencyLimits],
        workers: int,
    ) -> None:
        self._store = store
        self._run = run
        self._current_limits = current_limits
        self._workers = workers
        self._job_ended = asyncio.Event()
        self._any_held = True  # an earlier daemon may have left some

    async def run_job(self, job_id: str, attempt: int) -> None:
        """Run a job of the queue, and note whether it was held; raises what `run` raises.

        A job that a bug keeps from being started is held for a while.
        """
        try:
            is_over = await self._run(job_id, attempt)
        except StorageUnavailable:
            raise
        except Exception:
            await self._store.write(scheduling.hold, job_id, attempt, NOT_STARTED, now_ms() + HELD_FOR_MS, now_ms())
            self._any_held = True
            raise
        if is_over:
            self._job_ended.set()
        else:
            self._any_held = True

    async def run(self, put: Callable[[str, int, int], None]) -> None:
        """Call `put` with held jobs (id, attempt, priority) that may start now, whenever a job has ended; for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._job_ended.wait()
            self._job_ended.clear()
            if self._any_held:
                self._any_held = False  # before the query: another job may be held meanwhile
                self._any_held = await self._requeue(put) or self._any_held

    async def _requeue(self, put: Callable[[str, int, int], None]) -> bool:
        """Put the held jobs that may start now, and return whether any job is still held."""
        try:
            limits = self._current_limits()
            held, startable = await self._store.write(scheduling.find_startable, limits, self._workers, now_ms())
        except StorageUnavailable:  # the store logs it
            return True
        for job_id, attempt, priority in startable:
            put(job_id, attempt, priority)
        return held
