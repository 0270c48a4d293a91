"""Whose turn it is: jobs that a limit or a pause held are put in the queue again as soon as there is room."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from shared.ids import now_ms
from stitcherd import policy
from stitcherd.store import scheduling
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

POLL_SECONDS = 1.0  # until held jobs are looked at, though none has ended: the rails may have changed

log = logging.getLogger(__name__)


class Scheduler:
    """Stands between the queue and the runner; `run` of a runner says whether it took the job."""

    def __init__(
        self,
        store: Store,
        run: Callable[[str, int], Awaitable[bool]],
        slots: Callable[[], policy.ConcurrencyLimits],
        workers: int,
    ) -> None:
        self._store = store
        self._run = run
        self._slots = slots
        self._workers = workers
        self._look = asyncio.Event()
        self._held = True  # an earlier daemon may have left some

    async def run(self, job_id: str, attempt: int) -> None:
        """Run a job whose turn has come; raises what the runner raises."""
        if await self._run(job_id, attempt):
            self._look.set()
        else:
            self._held = True

    async def call(self, put: Callable[[str, int, int], None]) -> None:
        """Put held jobs (id, attempt, priority) that may start now, whenever one has ended; for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._look.wait()
            self._look.clear()
            if self._held:
                self._held = False  # before the store is asked: a job may be held meanwhile
                self._held = await self._next(put) or self._held

    async def _next(self, put: Callable[[str, int, int], None]) -> bool:
        """Put whose turn it is, and say whether any job is held."""
        try:
            held, up = await self._store.write(scheduling.find_startable, self._slots(), self._workers, now_ms())
        except StorageUnavailable as fault:
            log.warning("held jobs cannot be looked up (%s); trying again", fault)
            return True
        for job_id, attempt, priority in up:
            put(job_id, attempt, priority)
        return held
