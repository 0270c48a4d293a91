"""Takes jobs from a store that several processes share, and ends those whose cancel was requested elsewhere."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

from shared.ids import now_ms
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.runner import Runner
from stitcherd.policy import ConcurrencyLimits
from stitcherd.store import daemons, taking
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.scheduling import Held
from stitcherd.store.steps import Claimed
from stitcherd.store.store import Store

LOOK_SECONDS = 1.0  # between two looks for requested cancels, should a notification be lost
COALESCE_SECONDS = 0.1  # between two looks because of notifications


class Taker:
    """Takes jobs for `runner`.

    `executors` returns those that can be used, `broken` those that cannot and will not come back by themselves,
    `current_limits` what may run now.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        lease: Lease,
        executors: Callable[[], Collection[str]],
        broken: Callable[[], Collection[str]],
        current_limits: Callable[[], ConcurrencyLimits],
    ) -> None:
        self._store = store
        self._runner = runner
        self._lease = lease
        self._executors = executors
        self._broken = broken
        self._current_limits = current_limits
        self._taken: dict[tuple[str, int], Claimed] = {}

    async def take(self) -> tuple[str, int] | None:
        """Take the next job that may start here; return its id and attempt, None where there is none.

        Raises StorageUnavailable.
        """
        executors, broken = self._executors(), self._broken()
        if not self._lease.is_held:
            return None
        async with self._store.reading(one_statement=True) as db:
            if not await taking.may_take(db, [*executors, *broken], now_ms()):
                return None
        taken: Claimed | Held | None = Held("")
        while isinstance(taken, Held):
            limits = self._current_limits()
            taken = await self._store.write(taking.take, self._lease.owner, executors, now_ms(), limits, broken)
        if taken is None:
            return None
        place = taken.job.id, taken.job.attempt
        self._taken[place] = taken
        return place

    async def run(self, job_id: str, attempt: int) -> None:
        """Run a job that was taken, or one that this process owned before."""
        await self._runner.run(job_id, attempt, self._taken.pop((job_id, attempt), None))

    async def follow_cancels(self) -> None:
        """End the jobs that run here when their cancel was requested at another daemon; for ever."""
        changed = self._store.job_changes()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await changed.wait()
            changed.clear()
            if self._runner.running:
                with suppress(StorageUnavailable):
                    async with self._store.reading(one_statement=True) as db:
                        cancelled = await daemons.cancelled_jobs(db, self._lease.owner)
                    for job_id in cancelled:
                        self._runner.cancel(job_id)
            await asyncio.sleep(COALESCE_SECONDS)
